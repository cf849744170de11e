import { createHash } from 'node:crypto';
import type { SessionData } from 'express-session';
import { createClient as createRedisClient } from 'redis';
import { keysOf } from '../../lib/redis/keys.js';
import type { RedisCommands } from '../../lib/redis/redis-options.js';
import { RedisSessionStore } from '../../lib/redis/redis-session-store.js';
import { systemClock } from '../../lib/model/clock.js';
import { isHandle } from '../../lib/model/session-id.js';
import type { StoreCallback } from '../../lib/store/store-contract.js';

/*
 * `RedisStore` and `createClient` as connect-redis's own tests use them, on `RedisSessionStore`. Its tests call sessions
 * "123" and "456"; ours are called by handles of a fixed form. The shim stands between the two and changes nothing else.
 */

const PREFIX = 'sess:';
/** Of an anonymous session. */
const HANDLE_LENGTH = 24;
/** What connect-redis takes where a session says nothing: a day. */
const DAY = 86_400_000;

const sidByHandle = new Map<string, string>();

function ours(sid: string): string {
  if (isHandle(sid)) {
    return sid;
  }
  const handle = createHash('sha256').update(sid).digest('base64url').slice(0, HANDLE_LENGTH);
  sidByHandle.set(handle, sid);
  return handle;
}

function theirs(handle: string | undefined): string {
  return sidByHandle.get(handle ?? '') ?? '';
}

export class RedisStore extends RedisSessionStore {
  constructor({ client }: { client: RedisCommands }) {
    super({
      link: { client },
      prefix: PREFIX,
      timeout: 5_000,
      clock: systemClock,
      lifetime: { idle: DAY, absolute: 365 * DAY, touchEvery: 1, rotateEvery: Infinity, rotationGrace: 1 },
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
    ttl: (key: string) => ttl(keysOf(PREFIX, ours(key.slice(PREFIX.length))).session),
  });
}
