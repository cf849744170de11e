import { isPageRequest, keptRequest } from '../http/page-request.js';
import type { SessionRequest } from '../http/session-request.js';
import type { RequestSession } from '../session/request-session.js';

/**
 * Keeps what a request of a page is about, until its user has proved again who they are. False for all other requests:
 * of these nothing is kept.
 *
 * @param fields names of the fields of a form that may be kept
 */
export async function keepRequest(
  request: SessionRequest,
  session: RequestSession,
  fields: readonly string[],
): Promise<boolean> {
  const isOfPage = isPageRequest(request);
  if (isOfPage) {
    await session.keep(keptRequest(request, fields));
  }
  return isOfPage;
}
