import { Inject, Injectable, Logger, type OnModuleInit } from '@nestjs/common';
import { type SessionEvent, SessionEvents } from './session-events.js';

/** What is worth a second look, and what is a failure; everything else is the usual course. */
const LEVELS: Partial<Record<SessionEvent['type'], 'warn' | 'error'>> = {
  'login-failed': 'warn',
  'reuse-detected': 'warn',
  'save-dropped': 'warn',
  'large-session': 'warn',
  'touch-failed': 'warn',
  'store-error': 'error',
};

/**
 * Writes each session event as one line of JSON through Nest's `Logger` (context `SessionAudit`). Switch it on by adding it
 * to the providers of any module. The lines name users and handles, never a secret or a cookie. To write elsewhere or
 * otherwise, extend it and override {@link write}.
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

/** An error is its name and message: a stack is no use in an audit. */
function plainErrors(_key: string, value: unknown): unknown {
  return value instanceof Error ? `${value.name}: ${value.message}` : value;
}
