import { installBetterAuth } from '../stage/better-auth.js';
import { checkApplications } from './checks.js';
import { raceAnonymousReads, raceLogins, raceReads } from './pages.js';
import type { Series } from '../measure/race.js';
import type { RaceName, Scenario } from './scenario.js';

const FLAGS = ['fastify'] as const;

/** Two processes of the same code differ by up to a tenth, for as long as they live. So each application is started anew. */
const LAUNCHES = 5;

/** The guarded page, the open one and logins, on Fastify. */
export const fastify: Scenario = async (stage, { pace }) => {
  const redis = await stage.redis();
  const share = { ...pace, rounds: Math.ceil(pace.rounds / LAUNCHES) };
  const races = { 'fastify-read': raceReads, 'fastify-anonymous': raceAnonymousReads, 'fastify-login': raceLogins };
  const results: Partial<Record<RaceName, Series[]>> = {};
  for (let launch = 0; launch < LAUNCHES; launch++) {
    const start = stage.variants.map((variant) => stage.anotherActor(variant, redis, { flags: FLAGS }));
    const actors = await Promise.all(start);
    await checkApplications(actors);
    for (const [name, race] of Object.entries(races) as [RaceName, typeof raceReads][]) {
      results[name] = joined(results[name], await race(actors, share));
    }
    await Promise.all(actors.map(({ app }) => app.stop()));
  }
  return { races: results };
};

/** The rounds of several launches, one after the other. */
function joined(former: Series[] | undefined, latest: Series[]): Series[] {
  return latest.map((series, index) => ({ ...series, rounds: [...(former?.[index]?.rounds ?? []), ...series.rounds] }));
}

/** The guarded page on Fastify and a Node that is new enough for Better Auth. Skipped where that cannot be had. */
export const betterAuth: Scenario = async (stage, { pace }) => {
  const installed = installBetterAuth();
  if (typeof installed === 'string') {
    console.error(`skipped: ${installed}`);
    return {};
  }
  const redis = await stage.redis();
  const { folder, execPath } = installed;
  const theirs = await stage.anotherActor('better-auth', redis, { flags: FLAGS, folder, execPath });
  const ours = await stage.anotherActor('ours', redis, { flags: FLAGS, execPath });
  await checkApplications([ours, theirs]);
  return { races: { 'better-auth': await raceReads([ours, theirs], pace) } };
};
