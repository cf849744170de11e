import { isHttp2, type SessionResponse } from './session-request.js';

/**
 * Makes a response that is held back look as if it had been sent: `headersSent` is true, and no header can be changed.
 * A handler that responds twice, or throws after it has responded, must not spoil the response that waits.
 *
 * @returns a function that undoes it
 */
export function sealHeaders(response: SessionResponse): () => void {
  const status = isHttp2(response)
    ? { statusCode: response.statusCode }
    : { statusCode: response.statusCode, statusMessage: response.statusMessage };
  const own = NAMES.map((name) => [name, Object.getOwnPropertyDescriptor(response, name)] as const);
  Object.defineProperties(response, SEAL);
  return () => {
    for (const [name, descriptor] of own) {
      Reflect.deleteProperty(response, name);
      if (descriptor !== undefined) {
        Object.defineProperty(response, name, descriptor);
      }
    }
    Reflect.deleteProperty(response, 'writableEnded');
    Object.assign(response, status);
  };
}

/** What Node throws when somebody changes the headers of a response that has been sent. */
export function headersSentError(verb: 'set' | 'append' | 'remove' | 'write'): Error {
  const error = new Error(`Cannot ${verb} headers after they are sent to the client`);
  return Object.assign(error, { code: 'ERR_HTTP_HEADERS_SENT' });
}

/** Makes a response whose `end()` is held back look ended, until it is unsealed. Fastify would send another. */
export function sealEnd(response: SessionResponse): void {
  Object.defineProperty(response, 'writableEnded', { configurable: true, get: () => true });
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
      throw headersSentError(verb);
    },
  };
}
