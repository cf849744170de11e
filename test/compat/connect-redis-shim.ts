import { createHash } from 'node:crypto';
import type { SessionData } from 'express-session';
import { createClient as createRedisClient } from 'redis';
import { lifetimePolicy } from '../../lib/lifetime/lifetime.policy.js';
import { sessionKey } from '../../lib/redis/keys.js';
import type { RedisCommands } from '../../lib/redis/redis.options.js';
import { RedisSessionStore } from '../../lib/redis/redis-session.store.js';
import { systemClock } from '../../lib/session/clock.js';
import { formatSessionId, parseSessionId, type SessionId } from '../../lib/session/session-id.js';
import type { StoreCallback } from '../../lib/session/store-contract.js';

/*
 * `RedisStore` and `createClient` as connect-redis's own tests use them, on `RedisSessionStore`. Its tests call sessions
 * "123" and "456"; ours are `handle.secret`. The shim stands between the two and changes nothing else.
 */

const PREFIX = 'sess:';
/** What connect-redis takes where a session says nothing: a day. */
const DAY = 86_400_000;

const sidByHandle = new Map<string, string>();

function idOf(sid: string): SessionId {
  const digest = (text: string): string => createHash('sha256').update(text).digest('base64url');
  const id = { handle: digest(sid).slice(0, 20), secret: digest(`secret of ${sid}`) };
  sidByHandle.set(id.handle, sid);
  return id;
}

function ours(sid: string): string {
  return parseSessionId(sid) === undefined ? formatSessionId(idOf(sid)) : sid;
}

function theirs(handle: string | undefined): string {
  return sidByHandle.get(handle ?? '') ?? '';
}

export class RedisStore extends RedisSessionStore {
  constructor({ client }: { client: RedisCommands }) {
    super({
      client,
      prefix: PREFIX,
      timeout: 5_000,
      clock: systemClock,
      lifetime: lifetimePolicy({
        idle: DAY,
        absolute: 365 * DAY,
        touchEvery: 1,
        rotateEvery: Infinity,
        rotationGrace: 1,
      }),
      onFailure: () => undefined,
      onUnreadable: () => undefined,
    });
  }

  override get(sid: string, callback?: StoreCallback<SessionData | null>) {
    return super.get(ours(sid), callback);
  }

  override set(sid: string, data: SessionData, callback?: StoreCallback<void>) {
    return super.set(ours(sid), data, callback);
  }

  override touch(sid: string, data: SessionData, callback?: StoreCallback<void>) {
    return super.touch(ours(sid), data, callback);
  }

  override destroy(sid: string, callback?: StoreCallback<void>) {
    return super.destroy(ours(sid), callback);
  }

  override async ids() {
    return (await super.ids())?.map(theirs);
  }

  override async all() {
    const all = await super.all();
    return all?.map((data) => ({ ...data, id: theirs((data as SessionData & { id?: string }).id) }));
  }
}

/** A client that is asked for `sess:123` where the session lies elsewhere. */
export function createClient(options: Parameters<typeof createRedisClient>[0]) {
  const client = createRedisClient(options);
  const ttl = client.ttl.bind(client);
  return Object.assign(client, {
    ttl: (key: string) => ttl(sessionKey(PREFIX, idOf(key.slice(PREFIX.length)).handle)),
  });
}
