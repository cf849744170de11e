import type { Request } from 'express';

declare module 'express-session' {
  interface SessionData {
    /** What the next page is to say, once. */
    notice?: string;
  }
}

/** Has the next page say this. It lies in the session, so that no address can be made up that says something else. */
export function leaveNotice(request: Request, notice: string): void {
  request.session.notice = notice;
}

export function takeNotice({ session }: Request): string {
  const { notice = '' } = session;
  delete session.notice;
  return notice;
}
