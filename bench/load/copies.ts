import { sign } from 'cookie-signature';
import { SECRET } from '../app/variant.js';
import type { Actor } from '../stage/stage.js';
import { logInAll, times } from './requests.js';

/** Characters at the end of a session's key that tell it from the others: copies count in them. */
const TAIL = 12;
/** Copies in one script. */
const BATCH = 10_000;
const COPY = `
for number = ARGV[1], ARGV[2] do
  redis.call('SET', KEYS[1] .. string.format('%0${TAIL}x', number), ARGV[3], 'PX', ARGV[4])
end`;

/**
 * Fills a database with copies of one session that the application has written itself, under keys of the same shape: a
 * stored session says nothing of its own key, in any variant.
 *
 * @returns cookies of some of them, evenly spread, so that no processor cache holds all that is asked for
 */
export async function copySession({ app, redis }: Actor, total: number, cookies: number): Promise<string[]> {
  const { variant } = app;
  await redis.flush(variant);
  const [cookie = ''] = await logInAll(app, [0]);
  const client = await redis.client(variant);
  const key = await keyOfSession(client);
  const [value, ttl] = await Promise.all([client.get(key), client.pTTL(key)]);
  for (let first = 0; first < total; first += BATCH) {
    const last = Math.min(first + BATCH, total) - 1;
    await client.eval(COPY, {
      keys: [key.slice(0, -TAIL)],
      arguments: [`${first}`, `${last}`, value ?? '', `${ttl}`],
    });
  }
  await client.del(key);
  const count = await client.dbSize();
  client.destroy();
  // Two more are the library's: the user's index, and the tombstone of the session that was copied.
  if (count < total || count > total + 2) throw new Error(`${count} keys instead of ${total} sessions`);
  return times(Math.min(cookies, total), (index) => {
    const number = Math.floor((index * total) / Math.min(cookies, total));
    return cookieOfCopy(cookie, key.slice(-TAIL), number.toString(16).padStart(TAIL, '0'));
  });
}

async function keyOfSession(client: Awaited<ReturnType<Actor['redis']['client']>>): Promise<string> {
  for (const key of await client.keys('*')) {
    if (!key.endsWith(':ended') && (await client.type(key)) === 'string') return key;
  }
  throw new Error('The login has stored no session.');
}

/** The cookie of a copy: the same, but for what its id and its key have in common. */
function cookieOfCopy(cookie: string, tail: string, tailOfCopy: string): string {
  const [name = '', value = ''] = cookie.split('=');
  const signed = decodeURIComponent(value).slice('s:'.length);
  const id = signed.slice(0, signed.lastIndexOf('.'));
  if (id.split(tail).length !== 2) throw new Error('The session id does not name its key.');
  return `${name}=${encodeURIComponent(`s:${sign(id.replace(tail, tailOfCopy), SECRET)}`)}`;
}
