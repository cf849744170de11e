import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { VARIANTS } from './app/variant.js';
import type { Profiled } from './profile.js';
import { clients } from './scenarios/clients.js';
import { connections } from './scenarios/connections.js';
import { hostileCookies } from './scenarios/cookies.js';
import { delayed } from './scenarios/delayed.js';
import { betterAuth, fastify } from './scenarios/fastify.js';
import { memory } from './scenarios/memory.js';
import { metrics } from './scenarios/metrics.js';
import { outage } from './scenarios/outage.js';
import { anonymous, login, logout, read } from './scenarios/pages.js';
import { perUser } from './scenarios/per-user.js';
import { readCache } from './scenarios/read-cache.js';
import type { Scenario, Settings } from './scenarios/scenario.js';
import { scriptTimes } from './scenarios/script-times.js';
import { size } from './scenarios/size.js';
import { total } from './scenarios/total.js';

const SCENARIOS: Record<string, Scenario> = {
  read,
  anonymous,
  login,
  logout,
  fastify,
  'better-auth': betterAuth,
  cookies: hostileCookies,
  delayed,
  memory,
  size,
  'per-user': perUser,
  total,
  clients,
  metrics,
  'read-cache': readCache,
  'script-times': scriptTimes,
  outage,
  connections,
};

const WHOLE: Settings = {
  pace: { rounds: 31, seconds: 0.25, warmUp: 15_000 },
  growthPace: { rounds: 15, seconds: 0.3, warmUp: 5_000 },
  memoryUsers: 4_096,
  sizes: [0.2, 2, 20],
  perUser: [1, 100, 10_000],
  totals: [1_000, 10_000, 100_000, 1_000_000],
  scriptRounds: 5,
  outages: 20,
  connections: { revoked: 1_000, ofOneUser: 5_000, idle: 10_000, idleSeconds: 30, messages: 1_000 },
};

/** Enough to see that the benchmark works, and the rough figures. */
const QUICK: Settings = {
  pace: { rounds: 5, seconds: 0.2, warmUp: 3_000 },
  growthPace: { rounds: 5, seconds: 0.15, warmUp: 1_000 },
  memoryUsers: 1_024,
  sizes: [2, 20],
  perUser: [1, 1_000],
  totals: [1_000, 100_000],
  scriptRounds: 2,
  outages: 3,
  connections: { revoked: 200, ofOneUser: 500, idle: 1_000, idleSeconds: 10, messages: 1_000 },
};

const USAGE = `npm run bench -- [--quick] [--only <scenario>,... | --profile <variant> [--fastify]] [--against <folder>]
folder: a checkout of the library, built; it takes part as "before"
scenarios: ${Object.keys(SCENARIOS).join(', ')}
variants: ${VARIANTS.join(', ')}`;

export interface Wanted {
  settings: Settings;
  scenarios: [string, Scenario][];
  profile: Profiled | undefined;
  /** The folder of another build of the library. */
  against: string | undefined;
}

/** @throws Error with the usage */
export function parseCommandLine(args: string[]): Wanted {
  const { quick, only, profile, against, fastify: onFastify } = parsed(args);
  const names = only?.split(',') ?? Object.keys(SCENARIOS);
  const scenarios = names.map((name): [string, Scenario] => [name, SCENARIOS[name] ?? refuse(`scenario "${name}"`)]);
  const variant = VARIANTS.find((name) => name === profile && (name !== 'before' || against !== undefined));
  if (profile !== undefined && variant === undefined) {
    refuse(`variant "${profile}"`);
  }
  if (onFastify && variant === undefined) {
    refuse('variant to profile on Fastify');
  }
  return {
    settings: quick ? QUICK : WHOLE,
    scenarios,
    profile: variant && { variant, flags: onFastify ? ['fastify'] : [] },
    against: against === undefined ? undefined : resolve(against),
  };
}

interface Options {
  quick: boolean;
  only?: string | undefined;
  profile?: string | undefined;
  fastify: boolean;
  against?: string | undefined;
}

function parsed(args: string[]): Options {
  const options = {
    quick: { type: 'boolean', default: false },
    only: { type: 'string' },
    profile: { type: 'string' },
    fastify: { type: 'boolean', default: false },
    against: { type: 'string' },
  } as const;
  try {
    return parseArgs({ args, options }).values;
  } catch (error) {
    throw new Error(`${error instanceof Error ? error.message : String(error)}\n${USAGE}`, { cause: error });
  }
}

function refuse(what: string): never {
  throw new Error(`There is no ${what}.\n${USAGE}`);
}
