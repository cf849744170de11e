import { Inject, Injectable, Logger, type OnModuleInit } from '@nestjs/common';
import type { SessionEvent } from '../model/session-event.js';
import { SessionEvents } from './session-events.js';

/** The log level of an event, where it is not the usual one. */
const LEVELS: Partial<Record<SessionEvent['type'], 'warn' | 'error'>> = {
  'login-failed': 'warn',
  'reuse-detected': 'warn',
  'cross-site-refused': 'warn',
  'save-dropped': 'warn',
  'large-session': 'warn',
  'touch-failed': 'warn',
  'store-error': 'error',
};

/**
 * Writes each session event as one line of JSON to Nest's `Logger` (context `SessionAudit`). To enable it, add it to
 * the providers of any module. The lines name users and handles, never a secret or a cookie. To write elsewhere or in
 * another form, extend it and override {@link write}.
 *
 * @example
 * ```ts
 * @Injectable()
 * class AuditTable extends AuditLogger {
 *   protected override write(event: SessionEvent): void {
 *     process.stdout.write(`${event.at.toISOString()} ${event.type} ${event.userId ?? '-'}\n`);
 *   }
 * }
 * ```
 */
@Injectable()
export class AuditLogger implements OnModuleInit {
  protected readonly logger = new Logger('SessionAudit');

  constructor(@Inject(SessionEvents) private readonly events: SessionEvents) {}

  onModuleInit(): void {
    this.events.events$.subscribe((event) => {
      this.write(event);
    });
  }

  /** Writes one event. */
  protected write(event: SessionEvent): void {
    const { type, at, ...rest } = event;
    this.logger[LEVELS[type] ?? 'log'](JSON.stringify({ event: type, at, ...rest }, plainErrors));
  }
}

/** Writes an error as its name and message: its stack is of no use in an audit. */
function plainErrors(_key: string, value: unknown): unknown {
  return value instanceof Error ? `${value.name}: ${value.message}` : value;
}
