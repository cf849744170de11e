import { SESSION_STORE, SessionRegistry } from '../../lib/index.js';
import { tagOfHandle, tagOfUser } from '../../lib/session/session-id.js';
import type { TestApplication } from '../support/application.js';
import type { Episode } from './conductor.js';
import type { Op } from './history.js';
import type { Verdict } from './judge.js';

interface Listing {
  ids(): Promise<string[] | undefined>;
}

/** Compares the users' indexes, the sessions that are there, and what visitors were told of them, when all is quiet. */
export async function comparedWithStore({ app }: TestApplication, users: readonly string[], { sessions }: Verdict) {
  const ids = (await app.get<Listing>(SESSION_STORE).ids()) ?? [];
  const failures: string[] = [];
  for (const user of users) {
    const listed = (await app.get(SessionRegistry).list(user)).map(({ handle }) => handle);
    const there = ids.filter((handle) => tagOfHandle(handle) === tagOfUser(user));
    const alone = [...listed.filter((one) => !there.includes(one)), ...there.filter((one) => !listed.includes(one))];
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

/** 503s at a time when nothing was the matter. */
export function needless503s(ops: readonly Op[], episodes: readonly Episode[]): string[] {
  const quiet = ({ start, end }: Op) => !episodes.some((episode) => start <= episode.end && end >= episode.start);
  return ops
    .filter((op) => op.status === 503 && quiet(op))
    .map(({ kind, app, start, why }) => `503 for nothing: ${kind} at app ${app} at ${start.toFixed()}: ${why}`);
}
