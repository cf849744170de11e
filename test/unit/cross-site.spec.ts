import { isCrossSite, isSafe } from '../../lib/http/request-origin.js';

const SITES = [undefined, 'same-origin', 'none', 'same-site', 'cross-site', 'unheard-of', ''];
const TRUSTED = ['https://trusted.example', /^https:\/\/[a-z]+\.partner\.example$/];

/** For each value of Sec-Fetch-Site, whether a request of this Origin to `app.example:3000` is refused (x). */
const ORIGINS: [origin: string | undefined, refusals: string][] = [
  [undefined, '...xxx.'],
  ['', '...xxx.'],
  ['http://app.example:3000', '...xxx.'],
  ['https://app.example:3000', '...xxx.'],
  ['http://app.example', 'x..xxxx'],
  ['http://app.example:3001', 'x..xxxx'],
  ['http://www.app.example:3000', 'x..xxxx'],
  ['http://app.example.evil.example:3000', 'x..xxxx'],
  ['https://elsewhere.example', 'x..xxxx'],
  ['ftp://app.example:3000', 'x..xxxx'],
  ['null', 'x..xxxx'],
  ['no origin at all', 'x..xxxx'],
  ['http://app.example:3000, https://elsewhere.example', 'x..xxxx'],
  ['https://trusted.example', '.......'],
  ['http://trusted.example', 'x..xxxx'],
  ['https://trusted.example:8443', 'x..xxxx'],
  ['https://shop.partner.example', '.......'],
  ['https://evil.example/.partner.example', 'x..xxxx'],
];

describe.each(ORIGINS)('a request of the origin %s', (origin, refusals) => {
  it.each(SITES.map((site, place) => [site, refusals[place] === 'x'] as const))(
    'whose Sec-Fetch-Site is %s is cross-site: %s',
    (site, isRefused) => {
      const headers = {
        host: 'app.example:3000',
        ...(origin !== undefined && { origin }),
        ...(site !== undefined && { 'sec-fetch-site': site }),
      };
      expect(isCrossSite({ headers, isSecure: false }, TRUSTED)).toBe(isRefused);
    },
  );
});

describe("a host's own origin", () => {
  it.each([
    ['app.example', 'https://app.example', false],
    ['app.example:443', 'https://app.example', false],
    ['app.example:80', 'http://app.example', false],
    ['app.example:443', 'http://app.example', true],
    ['APP.example', 'https://app.example', false],
    ['[::1]:3000', 'http://[::1]:3000', false],
    ['', 'https://app.example', true],
    ['not a host', 'https://app.example', true],
  ])('at the host "%s", %s is cross-site: %s', (host, origin, isRefused) => {
    expect(isCrossSite({ headers: { host, origin }, isSecure: false })).toBe(isRefused);
  });

  it('is that of the authority over HTTP/2', () => {
    const headers = { ':authority': 'app.example', origin: 'https://app.example' };
    expect(isCrossSite({ headers, isSecure: true })).toBe(false);
  });

  it('has https where the request is known to be secure', () => {
    const from = (origin: string) => ({ headers: { host: 'app.example:3000', origin }, isSecure: true });
    expect(isCrossSite(from('http://app.example:3000'))).toBe(true);
    expect(isCrossSite(from('https://app.example:3000'))).toBe(false);
  });

  it('is none of a page that hides where it comes from, whatever is trusted', () => {
    expect(isCrossSite({ headers: { host: 'app.example', origin: 'null' }, isSecure: false }, [/.*/])).toBe(true);
  });
});

describe('what may change something', () => {
  it('is every request but those of the safe methods', () => {
    const methods = ['GET', 'HEAD', 'OPTIONS', 'POST', 'PUT', 'PATCH', 'DELETE', 'TRACE', 'QUERY', 'get'];
    const safe = methods.filter((method) => isSafe({ method, headers: {} }));
    expect(safe).toEqual(['GET', 'HEAD', 'OPTIONS']);
  });

  it('is the opening of a WebSocket, too', () => {
    expect(isSafe({ method: 'GET', headers: { upgrade: 'WebSocket' } })).toBe(false);
    expect(isSafe({ method: 'GET', headers: { upgrade: 'h2c' } })).toBe(true);
  });
});
