import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { transformFileSync } from '@swc/core';
import { eventually } from '../../support/eventually.js';

const ROOT = join(import.meta.dirname, '../../..');

/** `application.ts`, on the built library, as a process of its own on a free port. */
export class Child {
  readonly #process: ChildProcess;
  readonly #exited: Promise<unknown>;
  #output = '';

  private constructor(script: string, env: Record<string, string>) {
    this.#process = spawn(process.execPath, ['--expose-gc', script], {
      cwd: ROOT,
      env: { PATH: process.env['PATH'], NO_COLOR: '1', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#exited = once(this.#process, 'exit');
    for (const stream of [this.#process.stdout, this.#process.stderr]) {
      stream?.on('data', (chunk) => (this.#output += String(chunk)));
    }
  }

  static async start(env: Record<string, string>): Promise<Child> {
    const child = new Child(compiled(), env);
    await eventually('the child to print its address', () => child.hasExited || child.url, { timeout: 20_000 });
    if (child.hasExited) throw new Error(`The child ended:\n${child.output}`);
    return child;
  }

  get url(): string {
    return /http:\/\/[\d.]+:\d+(?=\n)/.exec(this.#output)?.[0] ?? '';
  }

  /** Everything printed so far. */
  get output(): string {
    return this.#output;
  }

  get hasExited(): boolean {
    return this.#process.exitCode !== null || this.#process.signalCode !== null;
  }

  /** Asks it to end, and resolves with the milliseconds that it took to. */
  async terminate(): Promise<number> {
    const start = performance.now();
    this.#process.kill('SIGTERM');
    await this.#exited;
    return performance.now() - start;
  }

  async kill(): Promise<void> {
    this.#process.kill('SIGKILL');
    await this.#exited;
  }
}

/** Node runs no decorators: the same compiler as the tests' has to turn them into code. */
function compiled(): string {
  const { code } = transformFileSync(join(import.meta.dirname, 'application.ts'), {
    jsc: {
      parser: { syntax: 'typescript', decorators: true },
      transform: { legacyDecorator: true, decoratorMetadata: true },
      target: 'es2022',
      keepClassNames: true,
    },
    module: { type: 'es6' },
  });
  const directory = join(ROOT, 'build', 'chaos');
  mkdirSync(directory, { recursive: true });
  const script = join(directory, `application-${process.pid}.mjs`);
  writeFileSync(script, code);
  return script;
}
