import type passport from 'passport';
import type { SessionRequest } from '../http/session-request.js';
import { messageOf, sendable, statusOf } from './challenge.js';

/** Why a strategy refused the credentials. */
export interface Refusal {
  /** The strategy's own words, where it has any. */
  readonly message: string | undefined;
  /** The status that the strategy has chosen; 401 if none. */
  readonly status: number;
}

/** What Passport gives a strategy while it runs. The strategy calls one of them as its outcome. */
interface Actions {
  success: (user: unknown, info?: unknown) => void;
  fail: (challenge?: unknown, status?: number) => void;
  redirect: (url: string, status?: number) => void;
  pass: () => void;
  error: (error: unknown) => void;
}

type Outcome = keyof Actions;

export interface Strategy extends Actions {
  authenticate(this: Strategy, request: SessionRequest, options: passport.AuthenticateOptions): unknown;
}

/** What happens at the outcome of a strategy. */
export interface OutcomeSteps {
  /** Before Passport hears of the success. Resolves to the user whom it then sets at the request, if any. */
  onSuccess: (user: unknown) => Promise<unknown>;
  /** Before Passport hears of the refusal, whose message it does not pass on. */
  onRefusal: (refusal: Refusal) => void;
  /** The strategy has failed, or a step after its outcome, here or in Passport. The error may be anything. */
  onError: (error: unknown) => void;
  /** The strategy has called a second action, which is ignored. */
  onLateOutcome: (first: Outcome, late: Outcome, argument: unknown) => void;
}

/**
 * A strategy for one run. Its first outcome counts: without a `return`, `done(null, false)` is followed by
 * `done(null, user)`, which must not log in whom the first call has refused.
 *
 * A strategy may call an action in a later tick, where nobody would catch what is thrown after it. Here it is an error
 * of the authentication, instead of the end of the process.
 */
export function strategyForOneRun(
  registered: Strategy,
  options: passport.AuthenticateOptions,
  steps: OutcomeSteps,
): Strategy {
  const strategy = Object.create(registered) as Strategy;
  strategy.authenticate = function (this: Strategy, request) {
    const { success, fail, redirect, pass } = this; // Passport's.
    let first: Outcome | undefined;
    const outcome =
      <Args extends unknown[]>(name: Outcome, step: (...args: Args) => unknown) =>
      (...args: Args): void => {
        if (first === undefined) {
          first = name;
          run(() => step(...args), steps.onError);
        } else {
          steps.onLateOutcome(first, name, args[0]);
        }
      };
    this.success = outcome('success', async (user, info) => {
      success(await steps.onSuccess(user), info);
    });
    this.fail = outcome('fail', (challenge, status) => {
      steps.onRefusal({ message: messageOf(challenge), status: statusOf(challenge, status) });
      fail(sendable(challenge), status);
    });
    this.redirect = outcome('redirect', redirect);
    this.pass = outcome('pass', pass);
    this.error = outcome('error', steps.onError);
    run(() => registered.authenticate.call(this, request, options), this.error);
  };
  return strategy;
}

/** Runs a step for which nobody waits. What it throws, at once or later, goes to `onError`. */
function run(step: () => unknown, onError: (error: unknown) => void): void {
  const running = async (): Promise<void> => {
    await step();
  };
  running().catch(onError);
}
