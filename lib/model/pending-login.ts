import { type PendingLogin, type TrustFor, withProof } from './login-record.js';
import { parseData, stringify } from './session-data.js';
import type { SessionId } from './session-id.js';
import { type NewLogin, newRecord, recordOfLogin, type SessionRecord } from './session-record.js';

/** The record of the session that keeps a login of which these methods are missing. Nobody else's login takes its data. */
export function recordOfPendingLogin(
  id: SessionId,
  { login, data, remember, spared }: NewLogin,
  missing: readonly string[],
  now: number,
): SessionRecord {
  const { passport, ...rest } = data;
  const pending = {
    login: { ...login, at: now },
    passport: passport as object,
    missing,
    ...(remember !== undefined && { remember }),
    ...(spared !== undefined && { spared }),
  };
  return { ...newRecord(id, stringify(rest), now), owner: login.userId, pending };
}

/**
 * The pending login after one of its missing methods was proved; `undefined` where it does not miss that one.
 *
 * @param trustFor for how long the browser is to be spared the method once the login is complete, in milliseconds
 */
export function proved(
  pending: PendingLogin,
  method: string,
  trustFor: number | undefined,
  now: number,
): PendingLogin | undefined {
  const { login, missing, trustFor: former = [] } = pending;
  const others = former.filter(([one]) => one !== method);
  const trusts: readonly TrustFor[] = trustFor === undefined ? others : [...others, [method, trustFor]];
  return missing.includes(method)
    ? {
        ...pending,
        login: withProof(login, method, now),
        missing: missing.filter((one) => one !== method),
        ...(former.length + trusts.length > 0 && { trustFor: trusts }),
      }
    : undefined;
}

/** The pending login after the trust in its browser has ended: what that spared is to be proved after all. */
export function withoutTrust({ spared, ...pending }: PendingLogin): PendingLogin {
  return { ...pending, missing: [...pending.missing, ...(spared?.methods ?? [])] };
}

/** The record of the session that a login opens when its last step is done, with the data that it has by then. */
export function recordOfCompletedLogin(id: SessionId, text: string, pending: PendingLogin, now: number): SessionRecord {
  const { login, passport, remember } = pending;
  return recordOfLogin(id, { login, data: { ...parseData(text), passport }, remember }, now);
}
