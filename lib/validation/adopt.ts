import type { ResolvedSessionAuthOptions, SessionAuthOptions } from '../session-auth.options.js';
import { demand, isObject, refuseUnknown } from './checks.js';
import { isCookieName } from './cookie.js';

type Resolved = Pick<ResolvedSessionAuthOptions, 'adopt'>;

/** The sessions that are carried over, with their defaults. */
export function resolveAdopt(
  adopt: SessionAuthOptions['adopt'],
  { redis, cookie: own, secrets }: Pick<ResolvedSessionAuthOptions, 'redis' | 'cookie' | 'secrets'>,
): Resolved {
  if (adopt === undefined) {
    return { adopt: undefined };
  }
  demand(isObject(adopt), 'adopt', 'it is no object', 'As in { cookie: "connect.sid", prefix: "sess:" }.');
  refuseUnknown(adopt, { cookie: true, prefix: true, secret: true }, 'adopt.');
  demand(
    redis !== undefined,
    'adopt',
    'it is given without "redis", where the sessions are that it carries over',
    'Give "redis" the server of connect-redis, or leave it out.',
  );
  const { cookie = 'connect.sid', prefix = 'sess:' } = adopt;
  demand(isCookieName(cookie), 'adopt.cookie', 'it is no name of a cookie', 'As in "connect.sid".');
  demand(
    cookie !== own.name,
    'adopt.cookie',
    'it is the name of our own cookie too, which instances of the old stack would replace',
    'Give cookie.name another one.',
  );
  demand(typeof prefix === 'string', 'adopt.prefix', 'it is no string', 'As in "sess:".');
  demand(
    !('secret' in adopt) || adopt.secret !== undefined,
    'adopt.secret',
    'it is undefined, so that no old cookie would be known by it',
    'Give what express-session has as "secret", or leave it out where that is ours.',
  );
  const old = adopt.secret === undefined ? secrets : [adopt.secret].flat();
  demand(
    old.length > 0 && old.every((one) => typeof one === 'string' && one !== ''),
    'adopt.secret',
    'it is empty or no text',
    'Give what express-session has as "secret", or leave it out where that is ours.',
  );
  return { adopt: { cookie, prefix, secrets: old } };
}
