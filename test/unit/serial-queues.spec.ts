import { setTimeout as pause } from 'node:timers/promises';
import { newUserSessionId } from '../../lib/model/session-id.js';
import { recordOfLogin, type SessionRecord } from '../../lib/model/session-record.js';
import { saveMerged } from '../../lib/store/merged-save.js';
import { SerialQueues } from '../../lib/store/serial-queues.js';
import type { UpdateResult } from '../../lib/store/session-store.js';

const COUNT = 200;

it('saves of one process that compete for a session take few steps each, and all are kept', async () => {
  const login = { login: { userId: 'ada' }, data: {}, remember: undefined };
  const loaded = recordOfLogin(newUserSessionId('ada'), login, 0);
  let current: SessionRecord = loaded;
  let steps = 0;
  const update = async (record: SessionRecord): Promise<UpdateResult> => {
    steps++;
    await new Promise(setImmediate);
    if (record.version !== current.version + 1) return { outcome: 'stale', current };
    current = record;
    return { outcome: 'saved' };
  };
  const queues = new SerialQueues();
  const save = (_: unknown, i: number) =>
    saveMerged({ loaded, data: JSON.stringify({ [i]: i }), change: () => ({}), update, queues });
  await Promise.all(Array.from({ length: COUNT }, save));

  expect(Object.keys(JSON.parse(current.data) as object)).toHaveLength(COUNT);
  expect(steps).toBeLessThan(3 * COUNT);
  expect(queues.isBusy(loaded.handle)).toBe(false);
});

it('a process that stood still for a second does not take that for a queue that stands still', async () => {
  const queues = new SerialQueues();
  let running = 0;
  let most = 0;
  const operation = async (): Promise<void> => {
    most = Math.max(most, ++running);
    await pause(1);
    await new Promise(setImmediate);
    running--;
  };
  const all = Array.from({ length: 50 }, () => queues.run('busy', operation));
  await new Promise(setImmediate);
  for (const end = performance.now() + 1_000; performance.now() < end;); // Timers are late by then, and replies unread.
  await Promise.all(all);

  expect(most).toBe(1);
});

it('an operation that hangs or fails holds up no other for ever', async () => {
  const queues = new SerialQueues();
  void queues.run('hangs', () => new Promise(() => undefined));
  await expect(queues.run('fails', () => Promise.reject(new Error('no')))).rejects.toThrow('no');

  await expect(queues.run('hangs', () => Promise.resolve(1))).resolves.toBe(1);
  await expect(queues.run('fails', () => Promise.resolve(2))).resolves.toBe(2);
});
