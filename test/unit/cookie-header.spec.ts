import { createHmac } from 'node:crypto';
import fc from 'fast-check';
import { SessionCookies } from '../../lib/http/session-cookies.js';
import type { SessionRequest } from '../../lib/http/session-request.js';
import { newAnonymousSessionId, newUserSessionId } from '../../lib/model/session-id.js';
import { resolveOptions } from '../../lib/validation/options.js';
import { SECRET } from '../support/application.js';

const OLDER = `an older ${SECRET}`;
const NAMES = ['sid', '__Host-Http-sid', 'a.b$c', 'sidsid'];
const COUNTED = 16;

const signatureOf = (id: string, secret: string) =>
  createHmac('sha256', secret).update(id).digest('base64').replace(/=+$/, '');

/** Signed ids, of which some are forged, and one is no id. */
const SIGNED = [
  ...[newUserSessionId('1'), newUserSessionId('2'), newAnonymousSessionId(), newUserSessionId('3')].flatMap((id) =>
    [SECRET, OLDER, 'of somebody else'].map((secret) => {
      const text = `${id.handle}.${id.secret}`;
      return `s:${text}.${signatureOf(text, secret)}`;
    }),
  ),
  `s:no-id-of-ours.${signatureOf('no-id-of-ours', SECRET)}`,
];

/** What we read from a header, as texts. */
function read(name: string, cookie: string | undefined): string[] {
  const { secrets, cookie: attributes } = resolveOptions(
    { secret: [SECRET, OLDER], cookie: { name, secure: true } },
    'test',
  );
  const ids = new SessionCookies(secrets, attributes).read({ headers: { cookie } } as SessionRequest);
  return ids.map(({ handle, secret, hasOlderSignature }) => `${handle}.${secret} ${String(hasOlderSignature)}`);
}

/** The same, byte by byte and written anew. */
function expected(name: string, cookie: string): string[] {
  const values = piecesOf(Buffer.from(cookie, 'latin1'), ';')
    .map((pair) => [pair.indexOf('='), pair] as const)
    .filter(([equals, pair]) => equals >= 0 && stripped(pair.subarray(0, equals)).equals(Buffer.from(name)))
    .slice(0, COUNTED)
    .map(([equals, pair]) => stripped(pair.subarray(equals + 1)).toString('latin1'))
    .filter((value) => value.length <= 256)
    .map((value) => (/^"[^]*"$/.test(value) && value.length > 1 ? value.slice(1, -1) : value))
    .map((value) => (/%(?![0-7][0-9a-f])/i.test(value) ? '' : percentDecoded(value)));
  return [...new Set(values)].flatMap(idIn);
}

function piecesOf(bytes: Buffer, separator: string): Buffer[] {
  const at = bytes.indexOf(separator);
  return at < 0 ? [bytes] : [bytes.subarray(0, at), ...piecesOf(bytes.subarray(at + 1), separator)];
}

function stripped(bytes: Buffer): Buffer {
  if (bytes[0] === 0x20 || bytes[0] === 0x09) return stripped(bytes.subarray(1));
  const last = bytes.at(-1);
  return last === 0x20 || last === 0x09 ? stripped(bytes.subarray(0, -1)) : bytes;
}

const percentDecoded = (value: string) =>
  value.replaceAll(/%(..)/g, (_, digits: string) => String.fromCharCode(parseInt(digits, 16)));

function idIn(value: string): string[] {
  const [, id = '', signature = ''] = /^s:([\w-]+\.[\w-]+)\.([^]*)$/.exec(value) ?? [];
  if (!/^(?:.{24}|.{28})\.[\w-]{43}$/.test(id)) return [];
  const signer = [SECRET, OLDER].find((secret) => signatureOf(id, secret) === signature);
  return signer === undefined ? [] : [`${id} ${String(signer === OLDER)}`];
}

const byte = fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code));
const bytes = fc.array(byte, { maxLength: 8 }).map((all) => all.join(''));
/** What `String.trim()` takes for a space, and what it does not. */
const blank = fc.oneof(
  { weight: 19, arbitrary: fc.constantFrom('', ' ', '\t', ' \t ') },
  { weight: 1, arbitrary: fc.constantFrom('\xa0', '\x0b', '\f', '\0', '\r\n') },
);

const value = fc
  .constantFrom(...SIGNED)
  .chain((signed) =>
    fc.constantFrom(
      encodeURIComponent(signed),
      signed,
      `"${encodeURIComponent(signed)}"`,
      `"${signed}`,
      encodeURIComponent(signed).toLowerCase(),
      signed.replaceAll('s', '%73'),
      `${encodeURIComponent(signed)}%`,
      `${signed}${' '.repeat(300)}`,
      `${signed}x${' '.repeat(300)}`,
    ),
  );

const header = (name: string) => {
  const names = fc.oneof(
    { weight: 6, arbitrary: fc.constant(name) },
    {
      weight: 1,
      arbitrary: fc.constantFrom(...NAMES, name.toUpperCase(), `${name}x`, `x${name}`, `${name}=${name}`, ''),
    },
    { weight: 1, arbitrary: bytes },
  );
  const values = fc.oneof({ weight: 3, arbitrary: value }, { weight: 1, arbitrary: fc.oneof(bytes, fc.constant('%')) });
  const pair = fc
    .tuple(blank, names, blank, fc.constantFrom('=', '=', '=', '=', '=', '==', ''), blank, values, blank)
    .map((parts) => parts.join(''));
  return fc.array(pair, { maxLength: 40, size: 'max' }).map((pairs) => pairs.join(';'));
};

describe('the session cookie in a Cookie header', () => {
  it.each(NAMES)('of the name %s is read byte for byte, whatever else stands there', (name) => {
    fc.assert(
      fc.property(header(name), (cookie) => {
        expect(read(name, cookie)).toEqual(expected(name, cookie));
      }),
      { numRuns: 400 },
    );
  });

  it.each(NAMES)('of the name %s is found in all bytes that are no header at all', (name) => {
    fc.assert(
      fc.property(fc.array(fc.oneof(byte, fc.constantFrom(name, '=', ';', SIGNED[0]!)), { maxLength: 60 }), (parts) => {
        expect(read(name, parts.join(''))).toEqual(expected(name, parts.join('')));
      }),
      { numRuns: 400 },
    );
  });

  it.each([
    ['unsigned ones', () => 's%3Ax.y'],
    ['malformed ones', () => '%'],
    ['equal ones', () => 'x'],
    ['ones of several kilobytes', () => 'x'.repeat(4_000)],
    ['empty ones', () => ''],
  ])('counts among the first sixteen of its name, and not behind sixteen %s', (_, other) => {
    const genuine = encodeURIComponent(SIGNED[0]!);
    const others = (count: number) => Array.from({ length: count }, () => `sid=${other()}; a=b; `).join('');

    expect(read('sid', `${others(15)}sid=${genuine}`)).toHaveLength(1);
    expect(read('sid', `${others(16)}sid=${genuine}`)).toEqual([]);
  });

  it('is not there without a header', () => {
    expect(read('sid', undefined)).toEqual([]);
  });
});
