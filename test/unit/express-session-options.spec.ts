import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { InvalidOptionError } from '../../lib/index.js';
import { resolveOptions } from '../../lib/validation/options.js';
import { SECRET } from '../support/application.js';

const readme = readFileSync(join(import.meta.dirname, '../../node_modules/express-session/README.md'), 'utf8');

/** The options that express-session's own documentation has a heading for. */
const documented = (heading: RegExp) => Array.from(readme.matchAll(heading), ([, name = '']) => name);
const OPTIONS = documented(/^##### (\w+)$/gm);
const COOKIE_OPTIONS = documented(/^##### cookie\.(\w+)$/gm);
/** connect-redis's, of versions 6 to 9, which its documentation has no list of. */
const OF_CONNECT_REDIS = ['client', 'ttl', 'disableTTL', 'disableTouch', 'scanCount', 'serializer'];

/** Those that are ours as well. */
const OURS = ['secret', 'store', 'cookie', 'prefix'];
const OUR_COOKIE = ['domain', 'partitioned', 'path', 'sameSite', 'secure'];

function refusal(options: object): InvalidOptionError {
  try {
    resolveOptions({ secret: SECRET, ...options }, 'test');
  } catch (error) {
    return error as InvalidOptionError;
  }
  throw new Error('Nothing was refused');
}

describe('the options of express-session and connect-redis', () => {
  it('are all looked at here', () => {
    expect(OPTIONS).toEqual(expect.arrayContaining(['genid', 'name', 'proxy', 'resave', 'rolling', 'unset']));
    expect(COOKIE_OPTIONS).toEqual(expect.arrayContaining(['domain', 'expires', 'httpOnly', 'maxAge', 'sameSite']));
  });

  it.each([...OPTIONS, ...OF_CONNECT_REDIS, ...COOKIE_OPTIONS].filter((name) => !OURS.includes(name)))(
    'fail the boot by the name %s, with what stands in its place',
    (name) => {
      const { code, option, message } = refusal({ [name]: true });

      expect({ code, option }).toEqual({ code: 'invalid_option', option: name });
      expect(message).toMatch(/(Leave it out: |It is |Give )/);
      expect(message).not.toContain('Known: ');
    },
  );

  it.each(COOKIE_OPTIONS.filter((name) => !OUR_COOKIE.includes(name)))(
    'fail the boot by the name cookie.%s likewise',
    (name) => {
      const { code, option, message } = refusal({ cookie: { [name]: true } });

      expect({ code, option }).toEqual({ code: 'invalid_option', option: `cookie.${name}` });
      expect(message).not.toContain('Known: ');
    },
  );
});
