/** What one request asked for; a value is written once, so that each can be told from all others. */
export type Operation =
  | { readonly kind: 'set'; readonly key: string }
  | { readonly kind: 'delete'; readonly key: string }
  | { readonly kind: 'login'; readonly user: string }
  | { readonly kind: 'logout' }
  | { readonly kind: 'regenerate' };

/** A request as the browser saw it. Moments are counted, so that of any two one came first. */
export interface Observed {
  readonly operation: Operation;
  /** What it wrote, where it wrote something. */
  readonly value: string;
  /** The session whose cookie it carried. */
  readonly presented: string | undefined;
  /** The session whose cookie it was given. */
  readonly issued: string | undefined;
  readonly status: number;
  /** A delete that found something to delete. */
  readonly had: boolean;
  readonly sent: number;
  /** Its handler, which had loaded the session by then, was let go on: it wrote nothing before. */
  readonly opened: number;
  readonly answered: number;
}

/** A session as its cookie finds it when all is over. */
export interface Found {
  readonly alive: boolean;
  readonly user: string | null;
  readonly data: Readonly<Record<string, unknown>>;
}

/** The key that a regenerated session starts with. */
export const FRESH = 'fresh';

/**
 * What may be said of requests that truly ran at once, in words that no interleaving can break:
 *
 * - none fails;
 * - a session ends when, and only when, a request that carried its cookie has ended it;
 * - every write of a session that lives on is there, unless one on the same key came later or ran beside it;
 * - nothing is there that nobody wrote, and nobody is logged in but by a login;
 * - a write is dropped only where its session was ended beside it.
 *
 * @returns what was broken, in words; nothing when all is well
 */
export function broken(history: readonly Observed[], found: ReadonlyMap<string, Found>): string[] {
  return [
    ...history.filter(({ status }) => status >= 400).map((one) => `${tell(one)} was answered ${one.status}`),
    ...history.filter((one) => isLost(one, history)).map((one) => `${tell(one)} was lost`),
    ...[...found].flatMap(([handle, state]) => brokenOf(handle, state, history)),
  ];
}

function brokenOf(handle: string, { alive, user, data }: Found, history: readonly Observed[]): string[] {
  const enders = history.filter(({ presented, operation }) => presented === handle && ends(operation));
  if (alive !== (enders.length === 0)) {
    return [`${handle} ${alive ? 'lives on' : 'is gone'} after ${enders.map(tell).join(' and ') || 'nothing'}`];
  }
  if (!alive) return [];
  const keys = new Set([...Object.keys(data), ...history.map(keyOf).filter((key) => key !== undefined)]);
  const origin = history.find(({ issued }) => issued === handle)?.operation;
  const owner = origin?.kind === 'login' ? origin.user : null;
  return [
    ...(user === owner ? [] : [`${handle} is of ${user}, not of ${owner}`]),
    ...[...keys].flatMap((key) => {
      const possible = outcomes(handle, key, history);
      return possible.has(data[key])
        ? []
        : [`${handle}.${key} is ${String(data[key])}, not ${[...possible].join(' or ')}`];
    }),
  ];
}

/** What may stand under a key: what a request made of it after which no other touched it. */
function outcomes(handle: string, key: string, history: readonly Observed[]): Set<unknown> {
  const touching = history.filter((one) => keyOf(one) === key && touched(one) === handle);
  const last = touching.filter((one) => !touching.some(({ opened }) => one.answered < opened));
  return new Set(
    last.length === 0
      ? [undefined]
      : last.map(({ operation, value }) => (operation.kind === 'delete' ? undefined : value)),
  );
}

/**
 * A write that went nowhere, though its request had no session, or one that had long ended. A login takes the place of
 * its browser's anonymous session, so that a request that ran beside it does not get a new one.
 */
function isLost({ operation, presented, issued, sent, opened }: Observed, history: readonly Observed[]): boolean {
  if (issued !== undefined) return false;
  const sharing = history.filter((other) => presented !== undefined && other.presented === presented);
  switch (operation.kind) {
    case 'login':
      return true;
    case 'regenerate':
      return !sharing.some((one) => one.operation.kind === 'login' && one.opened < opened && sent < one.answered);
    case 'set':
      return presented === undefined || sharing.some((one) => ends(one.operation) && one.answered < sent);
    default:
      return false;
  }
}

function ends({ kind }: Operation): boolean {
  return kind === 'logout' || kind === 'login' || kind === 'regenerate';
}

/** The key that a request changed, if it did. */
function keyOf({ operation, had }: Observed): string | undefined {
  switch (operation.kind) {
    case 'set':
      return operation.key;
    case 'delete':
      return had ? operation.key : undefined;
    case 'regenerate':
      return FRESH;
    default:
      return undefined;
  }
}

/** The session in which it did so: a new one, if it was given one. */
function touched({ presented, issued }: Observed): string | undefined {
  return issued ?? presented;
}

function tell({ operation, value, presented, issued, sent, opened, answered }: Observed): string {
  return `${JSON.stringify(operation)} (${value}, ${presented} -> ${issued}, ${sent}-${opened}-${answered})`;
}
