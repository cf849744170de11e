/** A browser may hold several cookies of one name, for other paths or domains. Those after so many are ignored. */
const MOST_VALUES = 16;
/** A longer value is not ours (which has some 120 characters) and is not worth computing a signature. */
const LONGEST_VALUE = 256;
/** Percent-encoding of nothing but ASCII, as this module writes it. Anything else would cost an exception. */
const ENCODED_ASCII = /^(?:[^%]|%[0-7][0-9a-f])*$/i;

/** The values of the cookies of one name in a Cookie header (RFC 6265). */
export class CookieValues {
  /** A pair of the name in a Cookie header, compared byte for byte: Node gives each byte as one character. */
  readonly #pair: RegExp;

  constructor(readonly name: string) {
    this.#pair = new RegExp(`(?:^|;)[ \\t]*${name.replaceAll(/[^\w]/g, '\\$&')}[ \\t]*=([^;]*)`, 'g');
  }

  /** The different values of the first cookies of the name, in the browser's order. */
  in(header: string | undefined): Iterable<string> {
    return header?.includes(this.name) === true ? this.#valuesIn(header) : [];
  }

  #valuesIn(header: string): Set<string> {
    const values = new Set<string>();
    let found = 0;
    for (const [, raw = ''] of header.matchAll(this.#pair)) {
      values.add(decode(trim(raw)));
      if (++found === MOST_VALUES) {
        break;
      }
    }
    return values;
  }
}

/** Takes away spaces and tabs around a value, and nothing else (RFC 6265, section 5.2). */
function trim(value: string): string {
  let start = 0;
  let end = value.length;
  while (start < end && isBlank(value, start)) {
    start++;
  }
  while (end > start && isBlank(value, end - 1)) {
    end--;
  }
  return value.slice(start, end);
}

function isBlank(text: string, index: number): boolean {
  return text[index] === ' ' || text[index] === '\t';
}

/** The value without quotes and percent-encoding; empty where this module cannot have written it. */
function decode(value: string): string {
  if (value.length > LONGEST_VALUE || !ENCODED_ASCII.test(value)) {
    return '';
  }
  const isQuoted = value.length > 1 && value.startsWith('"') && value.endsWith('"');
  return decodeURIComponent(isQuoted ? value.slice(1, -1) : value);
}
