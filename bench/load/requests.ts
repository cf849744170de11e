import { PASSWORD, userOf } from '../app/users.js';
import type { AppProcess } from '../stage/app-process.js';
import { type Load, type LoadRequest, run } from './load.js';

/** Keep-alive connections that send requests at the same time. */
export const CONNECTIONS = 20;

/** The beginning of every user's JSON. */
const A_USER = '{"id":"';

type Size = Pick<Load, 'amount' | 'connections'>;

/** The guarded page. Each connection has its own cookies. */
export function reads(cookies: readonly string[], size: Size): Load {
  return { ...size, method: 'GET', path: '/me', requests: cookies.map(withCookie), expect: A_USER };
}

/** The open page, without a cookie. */
export function anonymousReads(size: Size): Load {
  return { ...size, method: 'GET', path: '/open', requests: times(size.connections, () => ({})), expect: '{"hello"' };
}

/** Logins of these users, in turn, by browsers without a cookie. */
export function logins(users: readonly number[], size: Size): Load {
  return { ...size, method: 'POST', path: '/login', requests: users.map((user) => loginOf(user)), expect: A_USER };
}

/** One logout for each cookie. */
export function logouts(cookies: readonly string[], connections: number): Load {
  const requests = cookies.map(withCookie);
  return { method: 'POST', path: '/logout', requests, connections, amount: cookies.length, expect: '' };
}

/** Logs these users in, unmeasured, and returns their cookies in no particular order. */
export async function logInAll(app: AppProcess, users: readonly number[]): Promise<string[]> {
  const cookies: string[] = [];
  const connections = Math.min(CONNECTIONS, users.length);
  const load = logins(users, { amount: users.length, connections });
  for (const request of load.requests) {
    // An application without authentication sets none.
    request.onHeaders = (headers) => cookies.push(cookieOf(headers) ?? 'none=');
  }
  await run(app.url, load);
  return cookies;
}

/** Puts data into these sessions, unmeasured. */
export async function putAll(app: AppProcess, cookies: readonly string[], data: unknown): Promise<void> {
  const body = JSON.stringify({ data });
  const requests = cookies.map((cookie) => ({ ...withCookie(cookie), body }));
  const connections = Math.min(CONNECTIONS, requests.length);
  await run(app.url, { method: 'PUT', path: '/data', requests, connections, amount: requests.length, expect: '' });
}

/** A shopping cart of about this many bytes of JSON: many small values, as sessions have them. */
export function cartOf(bytes: number): object[] {
  const item = (index: number) => ({
    sku: `SKU-${10_000 + index}`,
    title: 'A thing to buy',
    quantity: 1 + (index % 5),
    price: 19.95,
  });
  return times(Math.max(1, Math.round(bytes / (JSON.stringify(item(0)).length + 1))), item);
}

export function times<T>(count: number, make: (index: number) => T): T[] {
  return Array.from({ length: count }, (_, index) => make(index));
}

const withCookie = (cookie: string): LoadRequest => ({ headers: { cookie } });

function loginOf(user: number): LoadRequest {
  return { body: JSON.stringify({ username: userOf(user).username, password: PASSWORD }) };
}

function cookieOf(headers: Record<string, string | string[]>): string | undefined {
  const name = Object.keys(headers).find((header) => header.toLowerCase() === 'set-cookie');
  return [headers[name ?? ''] ?? []].flat()[0]?.split(';')[0];
}
