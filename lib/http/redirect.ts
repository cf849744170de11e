import type { SessionResponse } from './session-request.js';

interface ExpressResponse {
  redirect(status: number, url: string): void;
}
interface FastifyReply {
  redirect(url: string, status: number): void;
}

/** Has the browser load another page, by GET, whatever it has requested: 303. */
export function seeOther(response: SessionResponse, path: string): void {
  if ('raw' in response) {
    (response as unknown as FastifyReply).redirect(path, 303);
  } else {
    (response as unknown as ExpressResponse).redirect(303, path);
  }
}
