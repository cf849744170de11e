import type { IncomingHttpHeaders } from 'node:http';
import { isFor, isPageRequest, keptRequest } from '../../lib/http/page-request.js';
import type { SessionRequest } from '../../lib/http/session-request.js';

const FORM = { 'content-type': 'application/x-www-form-urlencoded; charset=utf-8', host: 'app.example.com' };
const form = (headers: IncomingHttpHeaders) =>
  ({ method: 'POST', socket: {}, headers: { ...FORM, accept: 'text/html', ...headers } }) as unknown as SessionRequest;

describe('a form', () => {
  it.each<[boolean, IncomingHttpHeaders]>([
    [true, { 'sec-fetch-site': 'same-origin' }],
    [true, { 'sec-fetch-site': 'none' }],
    [true, { 'sec-fetch-site': 'same-origin', origin: 'null' }],
    [true, {}],
    [true, { origin: 'https://app.example.com' }],
    [false, { 'sec-fetch-site': 'same-site' }],
    [false, { 'sec-fetch-site': 'cross-site' }],
    [false, { 'sec-fetch-site': 'cross-site', origin: 'https://app.example.com' }],
    [false, { origin: 'https://evil.test' }],
    [false, { origin: 'https://app.example.com.evil.test' }],
    [false, { origin: 'https://app.example.com:8443' }],
    [false, { origin: 'null' }],
    [false, { origin: '' }],
    [true, { host: undefined, ':authority': 'app.example.com', origin: 'https://app.example.com' }],
    [false, { host: undefined, ':authority': 'app.example.com', origin: 'https://evil.test' }],
    [false, { host: undefined, origin: 'https://app.example.com' }],
  ])('is a page of this site: %j, where its browser says %j', (expected, headers) => {
    expect(isPageRequest(form(headers))).toBe(expected);
  });

  it.each<[unknown, [string, string][]]>([
    [undefined, []],
    ['a=1', []],
    [null, []],
    [{ a: '1', b: '2', c: 3 }, [['a', '1']]],
    [{ a: 1, ab: '2' }, []],
    [{ a: ['1', '2'] }, [['a', '1'], ['a', '2']]], // prettier-ignore
    [{ a: ['1'] }, [['a[0]', '1']]],
    [{ a: ['1', { b: '2' }] }, [['a[0]', '1'], ['a[1][b]', '2']]], // prettier-ignore
    [{ 'a[]': ['1', '2'] }, [['a[]', '1'], ['a[]', '2']]], // prettier-ignore
    [{ a: { b: { c: '' } } }, [['a[b][c]', '']]],
    [Object.assign(Object.create(null) as object, { a: '1' }), [['a', '1']]],
    [JSON.parse('{"__proto__":"1","a":{"__proto__":{"b":"2"}}}'), [['a[__proto__][b]', '2']]],
  ])('parsed as %j has the fields %j of the name "a"', (body, fields) => {
    const request = { ...form({}), url: '/x', body } as unknown as SessionRequest;
    expect(keptRequest(request, ['a'])).toEqual({ method: 'POST', path: '/x', fields });
  });
});

it.each(['prefetch', 'prefetch;prerender', 'prefetch;anonymous-client-ip'])(
  'what a browser loads before its user asks for it is no page: %s',
  (purpose) => {
    const headers = { 'sec-fetch-mode': 'navigate', 'sec-purpose': purpose };
    expect(isPageRequest({ method: 'GET', headers } as unknown as SessionRequest)).toBe(false);
  },
);

it.each<[boolean, string]>([
  [true, '/confirm'],
  [true, '/confirm?x=1'],
  [true, '/Confirm/'],
  [true, 'http://app.example.com/confirm'],
  [false, '/confirm/more'],
  [false, '/'],
  [false, '//confirm'],
])('it is %s that a request is for the page /confirm?why=vault where it asks for %s', (expected, url) => {
  expect(isFor('/confirm?why=vault', { url } as SessionRequest)).toBe(expected);
});

it('a path of more than 16 kB is not kept', () => {
  const kept = (length: number) =>
    keptRequest({ method: 'GET', headers: {}, url: '/'.padEnd(length, 'x') } as never, []);
  expect([kept(16 * 1024)?.path.length, kept(16 * 1024 + 1)]).toEqual([16 * 1024, undefined]);
});

it.each(['//evil.test', '/\\evil.test', '/.//evil.test', 'https://evil.test//x.test', '?x=/', '/\\t/evil.test'])(
  'a request of the path %j is not kept',
  (url) => {
    expect(keptRequest({ method: 'GET', headers: {}, url } as SessionRequest, [])).toBeUndefined();
  },
);
