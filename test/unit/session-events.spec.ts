import { jest } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { filter } from 'rxjs';
import { eventually } from '../support/eventually.js';
import { SessionEvents } from '../../lib/events/session-events.js';
import type { SessionEvent } from '../../lib/model/session-event.js';

const AT = Date.parse('2026-01-01T00:00:00Z');

describe('session events', () => {
  let events: SessionEvents;
  let errors: jest.SpiedFunction<Logger['error']>;

  beforeEach(() => {
    events = new SessionEvents();
    errors = jest.spyOn(Logger.prototype, 'error').mockReturnValue(undefined);
  });

  afterEach(() => errors.mockRestore());

  const logOut = (handle: string): void => {
    events.emit({ type: 'logged-out', handle, userId: '1' }, AT);
  };

  it('reach every listener in order, with the time they happened', () => {
    const seen: SessionEvent[] = [];
    events.events$.subscribe((event) => seen.push(event));
    logOut('a');
    logOut('b');

    expect(seen.map(({ handle }) => handle)).toEqual(['a', 'b']);
    expect(seen[0]).toEqual({ type: 'logged-out', handle: 'a', userId: '1', at: new Date(AT) });
  });

  it.each([
    ['subscribed', () => events.events$],
    ['behind an operator', () => events.events$.pipe(filter(({ type }) => type === 'logged-out'))],
  ])('survive a listener that throws, %s, and so does that listener', (_, stream) => {
    const thrower = jest.fn(() => {
      throw new Error('of the listener');
    });
    const seen: string[] = [];
    stream().subscribe(thrower);
    stream().subscribe({ next: (event) => void seen.push(event.handle ?? '') });
    logOut('a');
    logOut('b');

    expect(thrower).toHaveBeenCalledTimes(2);
    expect(seen).toEqual(['a', 'b']);
    expect(errors).toHaveBeenCalledTimes(2);
  });

  it('survive an async listener that rejects', async () => {
    const listener = (): unknown => Promise.reject(new Error('of the listener'));
    events.events$.subscribe(listener);
    logOut('a');

    await eventually('the rejection to be logged', () => errors.mock.calls.length === 1);
  });

  it('end when the application closes', () => {
    const complete = jest.fn();
    events.events$.subscribe({ complete });
    events.close();

    expect(complete).toHaveBeenCalledTimes(1);
  });
});
