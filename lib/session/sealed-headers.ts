import type { SessionResponse } from './session.types.js';

/**
 * Makes a response that is held back look as it would had it begun: `headersSent`, and no header can be changed. A
 * handler that answers twice, or throws after it has answered, must not spoil the answer that waits.
 *
 * @returns what takes it back
 */
export function sealHeaders(response: SessionResponse): () => void {
  const { statusCode, statusMessage } = response;
  const own = NAMES.map((name) => [name, Object.getOwnPropertyDescriptor(response, name)] as const);
  Object.defineProperties(response, SEAL);
  return () => {
    for (const [name, descriptor] of own) {
      Reflect.deleteProperty(response, name);
      if (descriptor !== undefined) {
        Object.defineProperty(response, name, descriptor);
      }
    }
    Object.assign(response, { statusCode, statusMessage });
  };
}

/** What Node throws at whoever changes the headers of an answer that has begun. */
export function tooLateToChange(verb: 'set' | 'append' | 'remove' | 'write'): Error {
  const error = new Error(`Cannot ${verb} headers after they are sent to the client`);
  return Object.assign(error, { code: 'ERR_HTTP_HEADERS_SENT' });
}

const SEAL: PropertyDescriptorMap = {
  headersSent: { configurable: true, get: () => true },
  setHeader: refusing('set'),
  appendHeader: refusing('append'),
  removeHeader: refusing('remove'),
};
const NAMES = Object.keys(SEAL);

function refusing(verb: 'set' | 'append' | 'remove'): PropertyDescriptor {
  return {
    configurable: true,
    value: () => {
      throw tooLateToChange(verb);
    },
  };
}
