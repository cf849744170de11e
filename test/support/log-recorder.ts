import type { LoggerService } from '@nestjs/common';

export interface LogLine {
  level: 'fatal' | 'error' | 'warn' | 'log';
  text: string;
}

/** Keeps what a Nest application logs instead of printing it. */
export class LogRecorder implements LoggerService {
  readonly lines: LogLine[] = [];

  log(message: unknown, ...rest: unknown[]): void {
    this.#keep('log', message, rest);
  }
  warn(message: unknown, ...rest: unknown[]): void {
    this.#keep('warn', message, rest);
  }
  error(message: unknown, ...rest: unknown[]): void {
    this.#keep('error', message, rest);
  }
  fatal(message: unknown, ...rest: unknown[]): void {
    this.#keep('fatal', message, rest);
  }

  /** What was logged at this level, all that belongs to one call in one text. */
  at(...levels: LogLine['level'][]): string[] {
    return this.lines.filter(({ level }) => levels.includes(level)).map(({ text }) => text);
  }

  #keep(level: LogLine['level'], message: unknown, rest: unknown[]): void {
    this.lines.push({ level, text: [message, ...rest].map(textOf).join(' ') });
  }
}

function textOf(part: unknown): string {
  return part instanceof Error ? (part.stack ?? part.message) : String(part);
}
