import { Injectable } from '@nestjs/common';
import { SessionConnections, SessionEvents, SessionRegistry } from 'nestjs-session-auth';
import { debounceTime, filter, map, merge, type Observable, of, Subject, switchMap } from 'rxjs';
import { deviceInWords } from './words.js';

/** A device as the page shows it. */
export interface LiveDevice {
  handle: string;
  name: string;
  /** Its page is open now, in this process. */
  isOnline: boolean;
}

/** Where a user is logged in, and which of these devices have the page open. */
@Injectable()
export class Presence {
  /** The user whose devices have changed; `undefined` for everybody's. */
  private readonly changes$ = new Subject<string | undefined>();

  constructor(
    private readonly sessions: SessionRegistry,
    private readonly connections: SessionConnections,
    { events$ }: SessionEvents,
  ) {
    events$.pipe(map(({ userId }) => userId)).subscribe(this.changes$);
  }

  changed(userId?: string): void {
    this.changes$.next(userId);
  }

  /** The user's devices, now and whenever something changes. */
  devicesOf(userId: string): Observable<LiveDevice[]> {
    const changed$ = this.changes$.pipe(
      filter((changed) => changed === undefined || changed === userId),
      debounceTime(50),
    );
    return merge(of(undefined), changed$).pipe(switchMap(() => this.list(userId)));
  }

  private async list(userId: string): Promise<LiveDevice[]> {
    const all = await this.sessions.list(userId);
    return all.map(({ handle, device }) => ({
      handle,
      name: deviceInWords(device),
      isOnline: this.connections.count({ handle }) > 0,
    }));
  }
}
