import { randomBytes } from 'node:crypto';
import type { RedisServer } from './redis-server.js';

/**
 * Creates a user who may do what these ACL rules say and nothing else (`~sess:* +get +set`), with a password of its own.
 * Resolves with the URL to connect as this user. It is gone when the server has been restarted.
 */
export async function createUser(server: RedisServer, rules: string, name = 'app'): Promise<string> {
  const password = randomBytes(16).toString('hex');
  await server.ask('ACL', 'SETUSER', name, 'reset', 'on', `>${password}`, ...rules.split(' '));
  return `redis://${name}:${password}@127.0.0.1:${server.port}`;
}

/** What users were denied since the server started (`{ username: 'app', reason: 'command', object: 'keys' }`). */
export async function denials(server: RedisServer): Promise<{ username: string; reason: string; object: string }[]> {
  const client = await server.client();
  const log = await client.aclLog();
  client.destroy();
  return log.map(({ username, reason, object }) => ({ username, reason, object }));
}
