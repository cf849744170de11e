import type { Carrier, SessionRequest } from '../../lib/index.js';

/** What leads to a request: its form, and how one of that form is made. */
export const CARRIERS: [string, (request: SessionRequest) => Carrier][] = [
  ['a request', (request) => request],
  ['a GraphQL context { req }', (req) => ({ req })],
  ['a GraphQL context { request }', (request) => ({ request })],
  ['a GraphQL context { reply }', (request) => ({ reply: { request } })],
  ['the { extra } of graphql-ws', (request) => ({ extra: { request } })],
  ['the { req: { extra } } of graphql-ws', (request) => ({ req: { extra: { request } } })],
  ['a socket of Socket.IO', (request) => ({ id: 'x', request, data: {} })],
];

/** The forms that lead `SessionAuthService.current()` to this session, from the platform's request and from Node's own. */
export function carriersOf(request: SessionRequest, currentHandle: (carrier: Carrier) => string): string[] {
  const { raw } = request as { raw?: SessionRequest };
  return CARRIERS.filter(([, carrierOf]) =>
    [request, raw ?? request].every((one) => currentHandle(carrierOf(one)) === request.sessionID),
  ).map(([form]) => form);
}

export const ALL_CARRIERS = CARRIERS.map(([form]) => form);
