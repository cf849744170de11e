import type { SessionContents } from '../http/session-contents.js';
import { applyChanges, parseData, type SessionChanges, stringify } from '../model/session-data.js';
import type { SessionRecord } from '../model/session-record.js';
import type { AmendResult } from '../store/merged-save.js';
import type { SessionRepository } from './session-repository.js';

/** Changes a session's data in place. It may be called again, on newer data, where other requests were faster. */
export type DataChange = (data: SessionContents) => void;

/** The data as JSON text, changed. */
export function changed(data: string, change: DataChange): string {
  const values = parseData(data);
  change(values);
  return stringify(values);
}

/**
 * Changes the data of a session over whichever version the store has.
 *
 * @param unsaved changes that the request has made before
 */
export async function updateData(
  repository: SessionRepository,
  record: SessionRecord,
  change: DataChange,
  unsaved: SessionChanges = new Map(),
): Promise<AmendResult> {
  const result = await repository.amend(record, (current) => {
    const data = changed(applyChanges(current.data, unsaved), change);
    return data === current.data ? undefined : { data };
  });
  if (result.outcome === 'saved') {
    repository.reporter.saved(result.record, Buffer.byteLength(record.data));
  }
  return result;
}
