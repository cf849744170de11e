import { anonymousReads, CONNECTIONS, logInAll, logins, logouts, reads, times } from '../load/requests.js';
import { type Pace, race, type Series } from '../measure/race.js';
import type { Actor } from '../stage/stage.js';
import type { Scenario } from './scenario.js';

/** Users who log in by turns. */
const USERS = times(500, (index) => index);

/** The guarded page, by one user for each connection. */
export const read: Scenario = async (stage, { pace }) => ({
  races: { read: await raceReads(await stage.actors('all'), pace) },
});

/** The open page, without a cookie. */
export const anonymous: Scenario = async (stage, { pace }) => ({
  races: { anonymous: await raceAnonymousReads(await stage.actors('all'), pace) },
});

/** Logins by browsers without a cookie, into an empty database. */
export const login: Scenario = async (stage, { pace }) => ({
  races: { login: await raceLogins(await stage.actors('all'), pace) },
});

/** Logouts, each of a session opened for it. */
export const logout: Scenario = async (stage, { pace }) => {
  const contestants = (await stage.actors('all')).map((actor) => ({
    actor,
    load: async (amount: number) => {
      await actor.redis.flush(actor.app.variant);
      return logouts(
        await logInAll(
          actor.app,
          times(amount, (index) => index),
        ),
        CONNECTIONS,
      );
    },
  }));
  return { races: { logout: await race(contestants, pace) } };
};

export async function raceReads(actors: readonly Actor[], pace: Pace): Promise<Series[]> {
  const contestants = [];
  for (const actor of actors) {
    const cookies = await someCookies(actor);
    contestants.push({ actor, load: (amount: number) => reads(cookies, { amount, connections: CONNECTIONS }) });
  }
  return race(contestants, pace);
}

export function raceAnonymousReads(actors: readonly Actor[], pace: Pace): Promise<Series[]> {
  const load = (amount: number) => anonymousReads({ amount, connections: CONNECTIONS });
  const contestants = actors.map((actor) => ({ actor, load }));
  return race(contestants, pace);
}

export function raceLogins(actors: readonly Actor[], pace: Pace): Promise<Series[]> {
  const contestants = actors.map((actor) => ({
    actor,
    load: async (amount: number) => {
      await actor.redis.flush(actor.app.variant);
      return logins(USERS, { amount, connections: CONNECTIONS });
    },
  }));
  return race(contestants, pace);
}

/** A database with one new session for each connection: none is old enough to be renewed during a race. */
async function someCookies({ app, redis }: Actor): Promise<string[]> {
  await redis.flush(app.variant);
  return logInAll(
    app,
    times(CONNECTIONS, (index) => index),
  );
}
