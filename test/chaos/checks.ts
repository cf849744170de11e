import { SESSION_STORE, SessionRegistry } from '../../lib/index.js';
import { splitHandle, tagOfUser } from '../../lib/model/session-id.js';
import type { TestApplication } from '../support/application.js';
import type { RedisServer } from '../support/redis-server.js';
import { RECHECK, REDIS_TIMEOUT, type Served } from './chaos-application.js';
import { type Episode, nameOf, RECOVERS_WITHIN } from './conductor.js';
import type { Op, SocketLife } from './history.js';
import type { Verdict } from './judge.js';
import type { SessionModel } from './session-model.js';

interface Listing {
  ids(): Promise<string[] | undefined>;
}

/** Compares the users' indexes, the sessions that are there, and what visitors were told of them, when all is quiet. */
export async function comparedWithStore({ app }: TestApplication, users: readonly string[], { sessions }: Verdict) {
  const ids = await listed(app.get<Listing>(SESSION_STORE));
  const failures: string[] = [];
  for (const user of users) {
    const indexed = (await app.get(SessionRegistry).list(user)).map(({ handle }) => handle);
    const there = ids.filter((handle) => splitHandle(handle).tag === tagOfUser(user));
    const alone = [...indexed.filter((one) => !there.includes(one)), ...there.filter((one) => !indexed.includes(one))];
    failures.push(...alone.map((handle) => `index: ${handle} of ${user} is in one of index and store only`));
  }
  const now = performance.now();
  for (const [handle, session] of sessions) {
    const lossy = session.lossyFor({ start: now, end: now });
    const possible = session.life.possible({ since: now, lossy });
    const is = ids.includes(handle) ? 'live' : 'dead';
    const excused = is === 'dead' && session.mayHaveLostItsSecret(lossy);
    if (!possible.has(is) && !excused) failures.push(`store: ${handle} of ${session.user} is ${is}`);
  }
  return { failures, orphans: ids.filter((handle) => !sessions.has(handle)).length };
}

/** The handles in the store. A walk over all keys is many commands: one that comes too late begins it anew. */
async function listed(store: Listing): Promise<string[]> {
  const begin = performance.now();
  for (;;) {
    try {
      return (await store.ids()) ?? [];
    } catch (error) {
      if (performance.now() - begin > RECOVERS_WITHIN) throw error;
    }
  }
}

/** What a response may take beyond `redisTimeout`, in milliseconds, while this process is running. */
const GRACE = 250;
/** The application's own calls of the registry come on top, each with a deadline of its own. */
const CALLS: Readonly<Record<string, number>> = { 'GET /devices': 1, 'DELETE /devices': 1 };

/** How often the application itself calls the registry to answer this. */
export function registryCalls(what: string): number {
  return CALLS[/^\w+ \/\w+/.exec(what)?.[0] ?? ''] ?? 0;
}

/** Responses that took longer than a request may wait for Redis. */
export function lateResponses(
  responses: readonly (Served & { net: number })[],
  episodes: readonly Episode[],
): string[] {
  const limit = (what: string) => REDIS_TIMEOUT * (1 + registryCalls(what)) + GRACE;
  return responses
    .filter(({ what, net }) => net > limit(what))
    .map(({ what, net, start }) => `too slow: ${what} took ${net.toFixed()} ms (${nameOf(episodes, start, net)})`);
}

/** Faults after which it took too long until every instance served every user. */
export function lateRecoveries(episodes: readonly Episode[]): string[] {
  const all = episodes.flatMap(({ name, recovered }) => recovered.map((ms) => ({ name, ms })));
  const late = all.filter(({ ms }) => ms > RECOVERS_WITHIN);
  return late.map(({ name, ms }) => `too long out of service: ${ms.toFixed()} ms after: ${name}`);
}

/** 503s at a time when nothing was the matter. */
export function needless503s(ops: readonly Op[], episodes: readonly Episode[]): string[] {
  const quiet = ({ start, end }: Op) => !episodes.some((episode) => start <= episode.end && end >= episode.start);
  return ops
    .filter((op) => op.status === 503 && quiet(op))
    .map(({ kind, app, start, why }) => `503 for nothing: ${kind} at app ${app} at ${start.toFixed()}: ${why}`);
}

/** The longest that a connection may outlive its session while the store can be reached, in milliseconds. */
export const CLOSES_WITHIN = RECHECK + REDIS_TIMEOUT + 1_000;

/** Connections that outlived their session, and those whose messages were somebody else's. */
export function strayConnections(
  sockets: readonly SocketLife[],
  sessions: ReadonlyMap<string, SessionModel>,
  episodes: readonly Episode[],
  timeOf: (stretch: { start: number; end: number }) => number,
): string[] {
  return sockets.flatMap(({ handle, visitor, app, named, closed, left }) => {
    const session = sessions.get(handle);
    if (session === undefined) return [];
    const who = `of visitor ${visitor} to app ${app}, session ${handle}`;
    const strangers = named.filter((user) => user !== session.user);
    const end = left ?? closed?.at ?? performance.now();
    let since = session.life.since('dead', session.lossyFor({ start: end, end })) ?? end;
    const ended = since;
    // A store that is away closes nothing: the time counts from when it is back.
    for (const episode of episodes) {
      if (episode.start <= since + CLOSES_WITHIN && episode.end >= since) since = episode.end;
    }
    const late = since < end ? timeOf({ start: since, end }) : 0;
    return [
      ...strangers.map((user) => `another user's message: ${user} by a connection ${who}`),
      ...(late > CLOSES_WITHIN
        ? [
            `outlived its session: a connection ${who}, by ${late.toFixed()} ms since ${since.toFixed()} (${ended.toFixed()})`,
          ]
        : []),
    ];
  });
}

/** Connections that the application has left behind, though it has closed. Those of Sentinels have a name. */
export async function connectionsLeft(servers: readonly RedisServer[]): Promise<string[]> {
  const lists = await Promise.all(servers.map((server) => server.ask('CLIENT', 'LIST', 'TYPE', 'normal')));
  const lines = lists.flatMap((list) =>
    list.split('\n').filter((line) => / addr=127/.test(line) && !/ name=sentinel-/.test(line)),
  );
  return lines.map((line) => `left behind: a connection to ${/ laddr=(\S+)/.exec(line)?.[1]}`);
}
