import { sign } from 'cookie-signature';
import { SECRET } from '../app/variant.js';
import type { RedisStage } from '../stage/redis-stage.js';
import type { Actor } from '../stage/stage.js';
import { cartOf, logInAll, putAll, times } from './requests.js';

type Client = Awaited<ReturnType<RedisStage['client']>>;

/** Characters at the end of a session's key that are its own. The copies have a number there. */
const TAIL = 12;
/** Copies made by one script. */
const BATCH = 1_000;
/** With a second key, the copies are entered in this index of the user's sessions, one expiring after the other. */
const COPY = `
local value = redis.call('GET', KEYS[1])
local ttl = redis.call('PTTL', KEYS[1])
local index = KEYS[2]
local expiresAt = index and redis.call('ZSCORE', index, string.sub(KEYS[1], -${TAIL}))
for number = ARGV[1], ARGV[2] do
  local tail = string.format('%0${TAIL}x', number)
  redis.call('SET', string.sub(KEYS[1], 1, -${TAIL + 1}) .. tail, value, 'PX', ttl)
  if index then redis.call('ZADD', index, expiresAt + number, tail) end
end`;

/**
 * Fills a database with copies of one session that the application has written itself, under keys of the same shape. A
 * stored session does not contain its own key, in any variant.
 *
 * @returns cookies of some of them, evenly spread, so that no processor cache holds all that the requests ask for
 */
export async function copySession({ app, redis }: Actor, total: number, cookies: number): Promise<string[]> {
  const { variant } = app;
  await redis.flush(variant);
  const [cookie = ''] = await logInAll(app, [0]);
  const client = await redis.client(variant);
  const key = await keyOfSession(client);
  await copy(client, [key], total);
  await client.del(key);
  const count = await client.dbSize();
  client.destroy();
  // The library has one more, the user's index; another build one for what is left of the copied session.
  if (count < total || count > total + 2) throw new Error(`${count} keys instead of ${total} sessions`);
  return times(Math.min(cookies, total), (index) => {
    const number = Math.floor((index * total) / Math.min(cookies, total));
    return cookieOfCopy(cookie, key.slice(-TAIL), number.toString(16).padStart(TAIL, '0'));
  });
}

/**
 * Leaves one user alone in a database of the library, with so many sessions: one that the application has written, with
 * other data of this size, and copies of it.
 */
export async function fillUser(
  { app, redis }: Actor,
  user: number,
  { sessions, kilobytes }: { sessions: number; kilobytes: number },
): Promise<void> {
  await redis.flush(app.variant);
  await putAll(app, await logInAll(app, [user]), cartOf(kilobytes * 1000));
  const client = await redis.client(app.variant);
  const key = await keyOfSession(client);
  const index = key.slice(0, -TAIL);
  await copy(client, [key, index], sessions - 1);
  const count = await client.zCard(index);
  client.destroy();
  if (count !== sessions) throw new Error(`The index has ${count} entries instead of ${sessions}.`);
}

async function copy(
  client: Client,
  keys: [session: string] | [session: string, index: string],
  total: number,
): Promise<void> {
  for (let first = 0; first < total; first += BATCH) {
    const last = Math.min(first + BATCH, total) - 1;
    await client.eval(COPY, { keys, arguments: [`${first}`, `${last}`] });
  }
}

async function keyOfSession(client: Client): Promise<string> {
  for (const key of await client.keys('*')) {
    if (!key.endsWith(':ended') && (await client.type(key)) === 'string') return key;
  }
  throw new Error('The login has stored no session.');
}

/** The cookie of a copy: the same but for the part of the id that the key ends with. */
function cookieOfCopy(cookie: string, tail: string, tailOfCopy: string): string {
  const [name = '', value = ''] = cookie.split('=');
  const signed = decodeURIComponent(value).slice('s:'.length);
  const id = signed.slice(0, signed.lastIndexOf('.'));
  if (id.split(tail).length !== 2) throw new Error('The session id does not name its key.');
  return `${name}=${encodeURIComponent(`s:${sign(id.replace(tail, tailOfCopy), SECRET)}`)}`;
}
