import { copySession } from '../load/copies.js';
import { CONNECTIONS, reads } from '../load/requests.js';
import { type Contestant, race } from '../measure/race.js';
import type { Scenario } from './scenario.js';

/** Sessions that a round asks for. */
const ASKED_FOR = 2_000;

/**
 * The guarded page with more and more sessions in Redis. Each number of them is a database that takes the place of the
 * application's own for a round: few and many are measured in turn, by one and the same process.
 */
export const total: Scenario = async (stage, { growthPace, totals }) => {
  const redis = await stage.redis();
  const contestants: Contestant[] = [];
  for (const [row, variant] of (['hand-wired', 'ours'] as const).entries()) {
    const actor = await stage.actor(variant);
    for (const [column, sessions] of totals.entries()) {
      const place = row * totals.length + column;
      await redis.show(variant, place);
      const cookies = await copySession(actor, sessions, ASKED_FOR);
      const load = async (amount: number) => {
        await redis.show(variant, place);
        return reads(cookies, { amount, connections: CONNECTIONS });
      };
      contestants.push({ actor, step: sessions.toLocaleString('en'), load });
    }
  }
  const series = await race(contestants, growthPace);
  await redis.hideAll();
  return { races: { total: series } };
};
