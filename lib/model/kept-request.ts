/** How long a session keeps a request, in milliseconds. */
const KEPT_FOR = 5 * 60_000;

/** One field of a form: its name and its value. A name may come several times. */
export type FormField = readonly [name: string, value: string];

/**
 * What the user of a page had requested when they were sent to prove who they are: see
 * `SessionAuthService.takeKeptRequest()`.
 *
 * @example
 * ```ts
 * // The form again, for a POST. The template has to escape both names and values.
 * function formOf({ path, fields = [] }: KeptRequest) {
 *   return { action: path, inputs: fields.map(([name, value]) => ({ type: 'hidden', name, value })) };
 * }
 * ```
 */
export interface KeptRequest {
  readonly method: 'GET' | 'POST';
  /** A path of this site, with its query. */
  readonly path: string;
  /** Of a form, the fields that may be kept, in their order. Left out where they were more than 16 kB. */
  readonly fields?: readonly FormField[];
}

/** A {@link KeptRequest} as a session keeps it. */
export interface StoredRequest extends KeptRequest {
  /** When it was kept. */
  readonly at: number;
  /** The user has proved since then who they are. */
  readonly isProved?: true;
}

/** Whether the request is still to be kept. */
export function isStillKept({ at }: StoredRequest, now: number): boolean {
  return now - at < KEPT_FOR;
}

/** What is used of a session's record. */
interface RecordWithRequest {
  readonly kept?: StoredRequest | undefined;
}

/** Whether it has a request that was kept for too long. */
export function hasStaleRequest({ kept }: RecordWithRequest, now: number): boolean {
  return kept !== undefined && !isStillKept(kept, now);
}

/** The record without such a request. */
export function withoutStaleRequest<R extends RecordWithRequest>(record: R, now: number): R {
  return hasStaleRequest(record, now) ? { ...record, kept: undefined } : record;
}

/** Whether a value that a store has kept is one. */
export function isStoredRequest(value: unknown): value is StoredRequest {
  const { at, method, path, fields = [] } = (value ?? {}) as Partial<Record<keyof StoredRequest, unknown>>;
  return (
    Number.isSafeInteger(at) &&
    (method === 'GET' || method === 'POST') &&
    typeof path === 'string' &&
    Array.isArray(fields) &&
    fields.every(isField)
  );
}

function isField(value: unknown): boolean {
  return Array.isArray(value) && value.length === 2 && value.every((part) => typeof part === 'string');
}
