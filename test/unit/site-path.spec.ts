import fc from 'fast-check';
import { pathOfThisSite } from '../../lib/http/site-path.js';

const PAGE = 'https://app.example.com/login';
const leadsTo = (location: string) => new URL(location, PAGE);

/** Texts of what browsers treat in a special way, mixed with what they do not. */
const nastyText = fc
  .array(
    fc.oneof(
      fc.constantFrom(
        ...[
          '/',
          '//',
          '\\',
          '.',
          '..',
          '\t',
          '\n',
          '\r',
          '\0',
          ' ',
          ':',
          '@',
          '?',
          '#',
          '%2f',
          '%5c',
          '%09',
          '%2e',
          '\ud800',
        ],
        ...[
          'https:',
          'javascript:',
          'evil.test',
          'this-site.invalid',
          'app.example.com',
          '[::1]',
          '\u3002',
          '\uff0f',
          '\ufeff',
        ],
      ),
      fc.string({ unit: 'binary', maxLength: 3 }),
    ),
    { maxLength: 8 },
  )
  .map((parts) => parts.join(''));

describe('a path of this site', () => {
  it.each([
    ['/', '/'],
    ['/me?from=here#top', '/me?from=here#top'],
    ['/a b/ä', '/a%20b/%C3%A4'],
    ['/%2F%2Fevil.test', '/%2F%2Fevil.test'],
    ['/%5Cevil.test', '/%5Cevil.test'],
    ['/a/..//b', undefined],
    ['/a/../b', '/b'],
    ['/a\\b', '/a/b'],
    ['/?next=//evil.test', '/?next=//evil.test'],
  ])('%j is sent as %j', (value, expected) => {
    expect(pathOfThisSite(value)).toBe(expected);
  });

  it.each([
    ...[
      '//evil.test/x',
      '///evil.test',
      '/\\evil.test',
      '\\\\evil.test',
      '/\t/evil.test',
      '\t//evil.test',
      '/\n/evil.test',
    ],
    ...[
      '/.//evil.test',
      '/a/..//evil.test',
      '/%2e//evil.test',
      ' //evil.test',
      '//',
      '//user@evil.test',
      '//evil.test:99999',
    ],
    ...[
      'https:evil.test',
      'https://evil.test',
      'https://app.example.com/me',
      'javascript:alert(1)',
      'data:,x',
      'blob:x',
    ],
    ...['me', '', '.', '?a', '#a', undefined, null, 7, {}, ['/me'], { toString: () => '/me' }],
  ])('%j is none', (value) => {
    expect(pathOfThisSite(value)).toBeUndefined();
  });

  it('leads browsers to this site, and where the value itself leads', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          nastyText,
          nastyText.map((text) => `/${text}`),
        ),
        (value) => {
          const path = pathOfThisSite(value);
          fc.pre(path !== undefined);
          expect(path).toMatch(/^\/(?![/\\])[\x21-\x7e]*$/);
          expect(leadsTo(path).origin).toBe('https://app.example.com');
          expect(new URL(path, 'http://this-site.invalid').href).toBe(new URL(value, 'http://this-site.invalid').href);
        },
      ),
      { numRuns: 2_000 },
    );
  });

  it('is every path without empty segments', () => {
    const segment = fc.string({ unit: 'grapheme', minLength: 1 }).map((text) => `/x${encodeURIComponent(text)}`);
    fc.assert(
      fc.property(fc.array(segment, { minLength: 1 }), fc.webQueryParameters(), (segments, query) => {
        const path = `${segments.join('')}?${query}`;
        expect(leadsTo(pathOfThisSite(path)!).href).toBe(leadsTo(path).href);
      }),
    );
  });
});
