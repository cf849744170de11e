import { installBetterAuth } from '../stage/better-auth.js';
import { checkApplications } from './checks.js';
import { raceAnonymousReads, raceLogins, raceReads } from './pages.js';
import type { Series } from '../measure/race.js';
import type { Scenario } from './scenario.js';

const FLAGS = ['fastify'] as const;

/**
 * Two processes of the same code differ by up to a tenth, for as long as they live, and what a process has done before
 * counts as well. So each page is measured in processes of its own, several of each application.
 */
const LAUNCHES = 5;

/** The guarded page, the open one and logins, on Fastify. */
export const fastify: Scenario = async (stage, { pace }) => {
  const redis = await stage.redis();
  const share = { ...pace, rounds: Math.ceil(pace.rounds / LAUNCHES) };
  const launch = async (race: typeof raceReads): Promise<Series[]> => {
    const start = stage.variants.map((variant) => stage.anotherActor(variant, redis, { flags: FLAGS }));
    const actors = await Promise.all(start);
    await checkApplications(actors);
    const series = await race(actors, share);
    await Promise.all(actors.map(({ app }) => app.stop()));
    return series;
  };
  const launches = async (race: typeof raceReads): Promise<Series[]> => {
    let series = await launch(race);
    for (let i = 1; i < LAUNCHES; i++) {
      series = joined(series, await launch(race));
    }
    return series;
  };
  return {
    races: {
      'fastify-read': await launches(raceReads),
      'fastify-anonymous': await launches(raceAnonymousReads),
      'fastify-login': await launches(raceLogins),
    },
  };
};

/** The rounds of several launches, one after the other. */
function joined(former: Series[], latest: Series[]): Series[] {
  return former.map((series, index) => ({ ...series, rounds: [...series.rounds, ...(latest[index]?.rounds ?? [])] }));
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
