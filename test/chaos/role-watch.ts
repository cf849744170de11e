import { setTimeout as sleep } from 'node:timers/promises';
import type { RedisServer } from '../support/redis-server.js';
import type { LossWindow } from './history.js';

/** How often each server is asked for its role, in milliseconds. */
const EVERY = 100;
/** What is acknowledged so shortly around a change of masters may be seen by one of them only, in milliseconds. */
const REPLICATION = 250;

/** A server takes itself for the master. */
interface Reign {
  readonly server: RedisServer;
  /** It began between these two times. */
  readonly after: number;
  readonly by: number;
  /** When it was at work: all the time, unless it hung. */
  readonly stretches: { from: number; to: number }[];
  /** It began as the server came back to life, with nothing in it: it takes itself for the master that it was. */
  readonly reborn: boolean;
  /** What it had written when it was asked. */
  readonly written: { at: number; offset: number }[];
  /** Up to where it had followed the master before it. */
  readonly inherited: number;
  ended: boolean;
}

/** What a server was seen to be. */
type Role = 'master' | 'hung' | 'other' | 'dead';

/**
 * Watches servers that replicate each other, and tells what they may have forgotten. It looks at what they do, for no
 * fault tells when exactly a master was lost, when two were one at the same time, and what followed on it.
 */
export class RoleWatch {
  readonly #reigns: Reign[] = [];
  readonly #stopped = new AbortController();

  constructor(servers: readonly RedisServer[]) {
    for (const server of servers) void this.#watch(server);
  }

  stop(): void {
    this.#stopped.abort();
  }

  /** When what was acknowledged may be forgotten, or not be seen: whenever one master gave way to another. */
  losses(by: (from: number, until: number) => string, users?: ReadonlySet<string>): LossWindow[] {
    return this.#reigns.flatMap(({ server, by: begun, stretches, written, ended }) => {
      const others = this.#reigns.filter((other) => other.server !== server);
      const successor = others.find((other) => other.by > begun && !other.reborn);
      if (!ended) return [];
      const windows: LossWindow[] = [];
      if (successor !== undefined) {
        const lost = Math.max(
          ...stretches.map(({ to }) => Math.min(to, successor.after)).filter((to) => to <= successor.after),
        );
        const staleSince = Math.min(lost, lastInherited(written, successor) ?? lost - REPLICATION);
        for (const { from, to } of stretches.filter((stretch) => stretch.to >= lost)) {
          windows.push({
            by: by(lost, to),
            from: Math.max(from, staleSince),
            until: to + REPLICATION,
            staleSince,
            users,
          });
        }
      }
      return windows;
    });
  }

  async #watch(server: RedisServer): Promise<void> {
    let lookedAt = performance.now();
    let before: Role = 'other';
    let reign: Reign | undefined;
    while (!this.#stopped.signal.aborted) {
      const asked = performance.now();
      const { role, offset = NaN, inherited = NaN } = await lookAt(server, before);
      const now = performance.now();
      if (role === 'master' && reign === undefined) {
        const stretches = [{ from: lookedAt, to: now }];
        const reborn = before === 'dead';
        reign = { server, after: lookedAt, by: now, reborn, stretches, written: [], inherited, ended: false };
        this.#reigns.push(reign);
      } else if (reign && before === 'master') {
        reign.stretches.at(-1)!.to = now;
      } else if (reign && before === 'hung' && role !== 'hung') {
        reign.stretches.push({ from: lookedAt, to: now });
      }
      if (role === 'master') reign?.written.push({ at: asked, offset });
      if (reign && (role === 'other' || role === 'dead')) {
        reign.ended = true;
        reign = undefined;
      }
      [before, lookedAt] = [role, asked];
      await sleep(EVERY);
    }
  }
}

/** Asked anew each time: it changes while one waits. */
function isHung(server: RedisServer): boolean {
  return server.isPaused;
}

/** When a master was last seen to have written no more than its successor has of it. */
function lastInherited(written: Reign['written'], { inherited }: Reign): number | undefined {
  return written.filter(({ offset }) => offset < inherited).at(-1)?.at;
}

/** One that runs and says nothing is taken for what it was before: it starts, or a failover has cut the question off. */
async function lookAt(server: RedisServer, before: Role): Promise<{ role: Role; offset?: number; inherited?: number }> {
  if (isHung(server)) return { role: 'hung' };
  if (!server.isRunning) return { role: 'dead' };
  try {
    const { role, master_repl_offset: offset, second_repl_offset: inherited } = await server.info('replication');
    return { role: role === 'master' ? role : 'other', offset: Number(offset), inherited: Number(inherited) };
  } catch {
    return { role: isHung(server) ? 'hung' : before };
  }
}
