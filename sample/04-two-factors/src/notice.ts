import type { Request } from 'express';

declare module 'express-session' {
  interface SessionData {
    /** What the next page shows, once. */
    notice?: string;
  }
}

/** Shows this on the next page. It is kept in the session, so nobody can make up an address that shows other text. */
export function leaveNotice(request: Request, notice: string): void {
  request.session.notice = notice;
}

export function takeNotice({ session }: Request): string {
  const { notice = '' } = session;
  delete session.notice;
  return notice;
}
