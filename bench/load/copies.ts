import { sign } from 'cookie-signature';
import { SECRET } from '../app/variant.js';
import type { Actor } from '../stage/stage.js';
import { logInAll, times } from './requests.js';

/** Characters at the end of a session's key that are its own. The copies have a number there. */
const TAIL = 12;
/** Copies made by one script. */
const BATCH = 10_000;
const COPY = `
for number = ARGV[1], ARGV[2] do
  redis.call('SET', KEYS[1] .. string.format('%0${TAIL}x', number), ARGV[3], 'PX', ARGV[4])
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
  // The library has one more, the user's index; another build one for what is left of the copied session.
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

/** The cookie of a copy: the same but for the part of the id that the key ends with. */
function cookieOfCopy(cookie: string, tail: string, tailOfCopy: string): string {
  const [name = '', value = ''] = cookie.split('=');
  const signed = decodeURIComponent(value).slice('s:'.length);
  const id = signed.slice(0, signed.lastIndexOf('.'));
  if (id.split(tail).length !== 2) throw new Error('The session id does not name its key.');
  return `${name}=${encodeURIComponent(`s:${sign(id.replace(tail, tailOfCopy), SECRET)}`)}`;
}
