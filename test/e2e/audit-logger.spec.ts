import { Injectable } from '@nestjs/common';
import { AuditLogger, type SessionEvent, SessionEvents, SessionRegistry } from '../../lib/index.js';
import type { NewSessionEvent } from '../../lib/model/session-event.js';
import { LocalStrategy, SnapshotSerializer } from '../support/application.js';
import { cookieOf, idOf, sessionsIn } from '../support/devices.js';
import { LogRecorder } from '../support/log-recorder.js';
import { describePlatforms, storesOn } from '../support/platforms.js';

const AT = new Date('2026-01-01T00:00:00Z');

/** What it wrote: the level and what one line says. */
function audited({ lines }: LogRecorder): [string, Record<string, unknown>][] {
  return lines.flatMap(({ level, text }) => {
    // Nest leaves a place for a stack before the context.
    const [, json] = /^(.*?) (?:undefined )?SessionAudit$/.exec(text) ?? [];
    return json === undefined ? [] : [[level, JSON.parse(json) as Record<string, unknown>]];
  });
}

describePlatforms((platform) => {
  describe.each(storesOn(platform))('AuditLogger, with sessions in %s,', (where) => {
    const home = sessionsIn(where);

    async function start(logger: typeof AuditLogger = AuditLogger) {
      const log = new LogRecorder();
      const application = await home.start({ logger: log, providers: [SnapshotSerializer, LocalStrategy, logger] });
      return { log, application };
    }

    it('writes one line of JSON for each event, in order, once it is among the providers', async () => {
      const { log, application } = await start();
      const at = new Date(application.clock.now()).toISOString();
      const ada = await application.loggedIn();
      const { handle, secret } = idOf(ada);
      const value = ada.cookies.get('sid')!;
      await application.browser().post('/login', { json: { username: 'ada', password: 'a wrong one' } });
      await application.app.get(SessionRegistry).revoke('1', handle, { by: 'admin' });

      expect(audited(log)).toEqual([
        ['log', { event: 'logged-in', at, userId: '1', handle, strategy: 'local', device: { ip: '127.0.0.1' } }],
        ['warn', { event: 'login-failed', at, strategy: 'local', code: 'login_failed', reason: expect.any(String) }],
        ['log', { event: 'revoked', at, userId: '1', handle, reason: 'admin' }],
      ]);
      const everything = log.lines.map(({ text }) => text).join('\n');
      for (const kept of [secret, value, cookieOf(ada), 'a wrong one']) expect(everything).not.toContain(kept);
    });

    it('writes nothing where it is not among them', async () => {
      const log = new LogRecorder();
      await (await home.start({ logger: log })).loggedIn();

      expect(audited(log)).toEqual([]);
    });

    it('gives each kind of event its level, and an error by its name and message', async () => {
      const { log, application } = await start();
      class BrokenError extends Error {
        override readonly name = 'BrokenError';
      }
      const error = new BrokenError('no reply');
      const handle = 'h';
      const events: [string, NewSessionEvent][] = [
        ['log', { type: 'logged-in', userId: '1', handle, method: 'totp' }],
        ['log', { type: 'logged-out', userId: '1', handle }],
        ['log', { type: 'reauthenticated', userId: '1', handle, previous: 'g' }],
        ['log', { type: 'revoked', handle, reason: 'limit' }],
        ['log', { type: 'rotated', handle }],
        ['log', { type: 'ended', handle, reason: 'user_gone' }],
        ['warn', { type: 'reuse-detected', handle }],
        ['warn', { type: 'login-failed', strategy: 'local', code: 'login_failed', reason: 'a "quoted"\nline' }],
        ['warn', { type: 'save-dropped', handle }],
        ['warn', { type: 'large-session', handle, bytes: 70_000 }],
        ['warn', { type: 'touch-failed', handle, error }],
        ['error', { type: 'store-error', operation: 'find', error }],
      ];
      for (const [, event] of events) application.app.get(SessionEvents).emit(event, AT.getTime());

      expect(audited(log)).toEqual(
        events.map(([level, { type, ...rest }]) => [
          level,
          { event: type, at: AT.toISOString(), ...rest, ...('error' in rest && { error: 'BrokenError: no reply' }) },
        ]),
      );
    });

    it('writes elsewhere where write() is overridden', async () => {
      const written: SessionEvent[] = [];
      @Injectable()
      class OwnLogger extends AuditLogger {
        protected override write(event: SessionEvent): void {
          if (event.type === 'logged-out') super.write(event);
          written.push(event);
        }
      }
      const { log, application } = await start(OwnLogger);
      const browser = await application.loggedIn();
      await browser.post('/logout');

      expect(written).toEqual(application.events);
      expect(audited(log).map(([, { event }]) => event)).toEqual(['logged-out']);
    });

    it('disturbs nobody where writing fails', async () => {
      @Injectable()
      class BrokenLogger extends AuditLogger {
        protected override write(): void {
          throw new Error('the disk is full');
        }
      }
      const { log, application } = await start(BrokenLogger);
      const browser = await application.loggedIn();

      expect((await browser.get('/me')).status).toBe(200);
      expect(log.at('error').join()).toContain('the disk is full');
    });
  });
});
