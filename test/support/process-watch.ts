import { runInThisContext } from 'node:vm';

/** Jest gives tests a copy of `process`, which hears nothing of what happens; this is the process itself. */
export const realProcess = runInThisContext('process') as NodeJS.Process;

/**
 * Hears what goes wrong in the process where no request tells of it. Jest's own listener, which would fail the test, is
 * out of the way meanwhile: what a test makes of an unhandled rejection is its own affair.
 */
export class ProcessWatch {
  readonly unhandled: unknown[] = [];
  readonly warnings: string[] = [];
  readonly #others = realProcess.listeners('unhandledRejection');

  constructor() {
    realProcess.removeAllListeners('unhandledRejection');
    realProcess.on('unhandledRejection', this.#onUnhandled).on('warning', this.#onWarning);
  }

  stop(): void {
    realProcess.off('unhandledRejection', this.#onUnhandled).off('warning', this.#onWarning);
    for (const listener of this.#others) realProcess.on('unhandledRejection', listener);
  }

  readonly #onUnhandled = (reason: unknown): void => {
    this.unhandled.push(reason);
  };

  readonly #onWarning = ({ name, message }: Error): void => {
    this.warnings.push(`${name}: ${message}`);
  };
}
