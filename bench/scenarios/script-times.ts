import { userOf } from '../app/users.js';
import { fillUser } from '../load/copies.js';
import { logInAll } from '../load/requests.js';
import { quantile } from '../measure/statistics.js';
import type { AppProcess } from '../stage/app-process.js';
import type { Scenario } from './scenario.js';

/** How long the scripts of one operation kept Redis from its other clients, in milliseconds. */
export interface ScriptFigures {
  operation: string;
  /** The size of other data in each session. */
  step: string;
  /** Of the user. */
  sessions: number;
  /** Calls of scripts for one operation. */
  calls: number;
  p50: number;
  p99: number;
  /** Of all rounds. */
  max: number;
  /**
   * The longest call, each call taken from the round in which it was the quickest: Redis's clock goes on when the machine has
   * something else to do.
   */
  undisturbed: number;
}

const USER = 0;
const SESSIONS = 10_000;
/** Kilobytes of other data. */
const SIZES = [0.2, 20, 64];
/** Most data that Redis is filled with, in kilobytes: the user has fewer sessions if these are large. */
const FILL = 200_000;
const WARM_UP = 300;

interface Step {
  sessions: number;
  kilobytes: number;
}

interface Operation {
  name: string;
  /** It leaves other sessions than it has found. */
  ends?: boolean;
  perform: (app: AppProcess, sessions: number) => Promise<unknown>;
}

const OPERATIONS: Operation[] = [
  { name: 'list', perform: (app, sessions) => ask(app, 'GET', '', sessions) },
  { name: 'count', perform: (app, sessions) => ask(app, 'GET', '/count', sessions) },
  { name: 'login that leaves three', ends: true, perform: (app) => logInAll(app, [USER]) },
  { name: 'revokeAll', ends: true, perform: (app, sessions) => ask(app, 'DELETE', '', sessions) },
];

/** What a user with very many sessions costs everybody else: Redis runs one script at a time. */
export const scriptTimes: Scenario = async (stage, { scriptRounds }) => {
  const redis = await stage.redis();
  const actor = await stage.anotherActor('ours', redis, { flags: ['devices'] });
  const timesOf = async ({ perform, ends }: Operation, step: Step, rounds: number): Promise<number[][]> => {
    const all: number[][] = [];
    for (let round = 0; round < rounds; round++) {
      if (round === 0 || ends) await fillUser(actor, USER, step);
      all.push(await redis.scriptTimes(() => perform(actor.app, step.sessions)));
    }
    return all;
  };
  const scripts: ScriptFigures[] = [];
  for (const kilobytes of SIZES) {
    const step = { sessions: Math.min(SESSIONS, Math.floor(FILL / kilobytes)), kilobytes };
    for (const operation of OPERATIONS) {
      await timesOf(operation, { ...step, sessions: WARM_UP }, 1);
      scripts.push({
        operation: operation.name,
        step: `${kilobytes} kB`,
        sessions: step.sessions,
        ...figuresOf(await timesOf(operation, step, scriptRounds)),
      });
    }
  }
  await redis.flush('ours');
  return { scripts };
};

function figuresOf(rounds: number[][]): Pick<ScriptFigures, 'calls' | 'p50' | 'p99' | 'max' | 'undisturbed'> {
  const all = rounds.flat();
  const calls = Math.max(...rounds.map(({ length }) => length));
  const quickest = Array.from({ length: calls }, (_, call) =>
    Math.min(...rounds.map((round) => round[call] ?? Infinity)),
  );
  return {
    calls,
    p50: quantile(all, 0.5),
    p99: quantile(all, 0.99),
    max: Math.max(...all),
    undisturbed: Math.max(...quickest),
  };
}

async function ask(app: AppProcess, method: string, path: string, sessions: number): Promise<void> {
  const response = await fetch(`${app.url}/sessions/${userOf(USER).id}${path}`, { method });
  const text = await response.text();
  if (text !== `${sessions}`) throw new Error(`${method} ${response.url} found ${text} sessions, not ${sessions}.`);
}
