import { installBetterAuth } from '../stage/better-auth.js';
import { checkApplications } from './checks.js';
import { raceAnonymousReads, raceLogins, raceReads } from './pages.js';
import type { Scenario } from './scenario.js';

const FLAGS = ['fastify'] as const;

/** The guarded page, the open one and logins, on Fastify. */
export const fastify: Scenario = async (stage, { pace }) => {
  const redis = await stage.redis();
  const start = stage.variants.map((variant) => stage.anotherActor(variant, redis, { flags: FLAGS }));
  const actors = await Promise.all(start);
  await checkApplications(actors);
  return {
    races: {
      'fastify-read': await raceReads(actors, pace),
      'fastify-anonymous': await raceAnonymousReads(actors, pace),
      'fastify-login': await raceLogins(actors, pace),
    },
  };
};

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
