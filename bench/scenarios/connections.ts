import { setTimeout as sleep } from 'node:timers/promises';
import { PASSWORD, userOf } from '../app/users.js';
import { logInAll, times } from '../load/requests.js';
import { LiveSocket, type Protocol } from '../load/sockets.js';
import { type Percentiles, percentiles } from '../measure/statistics.js';
import { sum } from '../report/summary.js';
import type { AppProcess } from '../stage/app-process.js';
import type { RedisStage } from '../stage/redis-stage.js';
import type { Actor } from '../stage/stage.js';
import type { Scenario } from './scenario.js';

/** How much of each is measured. */
export interface ConnectionAmounts {
  /** Sockets, each of a user of its own, whose sessions are revoked one by one. */
  revoked: number;
  /** Sockets of one user, each of a session of its own, that are revoked together. */
  ofOneUser: number;
  /** Sockets that only listen. */
  idle: number;
  /** For how long they are watched, in seconds. */
  idleSeconds: number;
  /** Guarded messages over one socket, evenly spread over ten seconds. */
  messages: number;
}

export interface ConnectionFigures extends ConnectionAmounts {
  /** From a revocation in another process, as its request is sent, to the close at the client, in milliseconds. */
  close: Percentiles;
  /** The same, of all sockets of one user. */
  closeAll: Percentiles;
  /** Bytes of the process's heap, and outside it, for one idle socket. */
  bytes: Record<Protocol, { bare: number; ours: number }>;
  /** Redis commands per second for all idle sockets. */
  idleCommands: number;
  /** Redis commands for all messages. */
  messageCommands: number;
}

/** The first number of the users of each part. */
const [IDLE_USERS, REVOKED_USERS, ONE_USER, TALKER] = [0, 50_000, 60_000, 60_001];
const MESSAGES_TAKE = 10_000;
/** Sockets that are opened and closed before memory is measured: code is compiled meanwhile. */
const WARM_UP = 500;
/** Sockets whose memory is compared. */
const WEIGHED = 4_000;
/** Milliseconds for what an application does after its response, and for sockets to be forgotten. */
const CALM = 2_000;

/** What open connections cost while nothing happens, and how soon they are closed when their session ends. */
export const connections: Scenario = async (stage, { connections: amounts }) => {
  const redis = await stage.anotherRedis();
  const start = (variant: 'bare' | 'ours') => stage.anotherActor(variant, redis, { flags: ['connections'] });
  const [bare, ours, other] = [await start('bare'), await start('ours'), await start('ours')];

  const idlers = await logInAll(
    ours.app,
    times(amounts.idle, (index) => IDLE_USERS + index),
  );
  const weighed = idlers.slice(0, WEIGHED);
  const { bytes: bareBytes } = await listen(bare, weighed);
  const { bytes: oursBytes } = await listen(ours, weighed);
  const { commands } = await listen(ours, idlers, 'ws', amounts.idleSeconds);
  const startIo = (variant: 'bare' | 'ours') =>
    stage.anotherActor(variant, redis, { flags: ['connections', 'socket.io'] });
  const { bytes: bareIoBytes } = await listen(await startIo('bare'), weighed, 'socket.io');
  const { bytes: oursIoBytes } = await listen(await startIo('ours'), weighed, 'socket.io');
  return {
    connections: {
      ...amounts,
      bytes: { ws: { bare: bareBytes, ours: oursBytes }, 'socket.io': { bare: bareIoBytes, ours: oursIoBytes } },
      idleCommands: commands / amounts.idleSeconds,
      messageCommands: await talk(ours, amounts.messages),
      close: await revokeEach(ours.app, other.app, amounts.revoked),
      closeAll: await revokeTogether(ours.app, other.app, amounts.ofOneUser),
    },
  };
};

/** Sockets that only listen: what one of them takes up, and the Redis commands for all of them in so many seconds. */
async function listen(
  { app, redis }: Actor,
  cookies: readonly string[],
  protocol: Protocol = 'ws',
  seconds = 0,
): Promise<{ bytes: number; commands: number }> {
  const warmUp = await LiveSocket.openAll(app, cookies.slice(0, WARM_UP), protocol);
  for (const socket of warmUp) socket.close();
  await sleep(CALM);
  const empty = await app.memory();
  const sockets = await LiveSocket.openAll(app, cookies, protocol);
  await sleep(CALM);
  const commands = await commandsWhile(redis, () => sleep(seconds * 1_000));
  const full = await app.memory();
  for (const socket of sockets) socket.close();
  await sleep(CALM);
  return { bytes: (full - empty) / sockets.length, commands };
}

/** Guarded messages over one socket, evenly spread; resolves with the Redis commands for all of them. */
async function talk({ app, redis }: Actor, messages: number): Promise<number> {
  const socket = await LiveSocket.open(app, await logIn(app, TALKER));
  await sleep(CALM);
  const commands = await commandsWhile(redis, async () => {
    const begun = performance.now();
    for (const number of times(messages, (index) => index)) {
      await sleep(Math.max(0, begun + (number * MESSAGES_TAKE) / messages - performance.now()));
      await socket.ask(`message ${number}`);
    }
  });
  socket.close();
  return commands;
}

/** Revokes one session after the other in another process, while the sockets of all are open. */
async function revokeEach(app: AppProcess, other: AppProcess, amount: number): Promise<Percentiles> {
  const users = times(amount, (index) => REVOKED_USERS + index);
  const cookies: string[] = [];
  for (const user of users) cookies.push(await logIn(app, user));
  const sockets = await LiveSocket.openAll(app, cookies);
  await sleep(CALM);
  const delays: number[] = [];
  for (const [place, user] of users.entries()) {
    const begun = performance.now();
    await revoke(other, `${userOf(user).id}/${handleIn(cookies[place] ?? '')}`);
    delays.push(((await sockets[place]?.closed) ?? NaN) - begun);
  }
  return percentiles(delays);
}

/** Revokes all sessions of one user in another process, each of which has a socket. */
async function revokeTogether(app: AppProcess, other: AppProcess, amount: number): Promise<Percentiles> {
  const cookies = await logInAll(
    app,
    times(amount, () => ONE_USER),
  );
  const sockets = await LiveSocket.openAll(app, cookies);
  await sleep(CALM);
  const begun = performance.now();
  await revoke(other, userOf(ONE_USER).id);
  const closed = await Promise.all(sockets.map((socket) => socket.closed));
  return percentiles(closed.map((at) => at - begun));
}

async function logIn(app: AppProcess, user: number): Promise<string> {
  const body = JSON.stringify({ username: userOf(user).username, password: PASSWORD });
  const headers = { 'content-type': 'application/json' };
  const response = await fetch(`${app.url}/login`, { method: 'POST', headers, body });
  await response.arrayBuffer();
  return response.headers.getSetCookie()[0]?.split(';')[0] ?? '';
}

async function revoke({ url }: AppProcess, path: string): Promise<void> {
  const response = await fetch(`${url}/sessions/${path}`, { method: 'DELETE' });
  await response.arrayBuffer();
  if (!response.ok) throw new Error(`A revocation was refused with ${response.status}.`);
}

/** `sid=s:<handle>.<secret>.<signature>`, percent-encoded. */
function handleIn(cookie: string): string {
  return /=s%3A([\w-]+)/.exec(cookie)?.[1] ?? '';
}

async function commandsWhile(redis: RedisStage, work: () => Promise<unknown>): Promise<number> {
  const before = await redis.figures();
  await work();
  const after = await redis.figures();
  return sum(Object.values(after.calls)) - sum(Object.values(before.calls));
}
