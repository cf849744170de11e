import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { WebSocket } from 'ws';
import { chromiumBinary } from '../../scripts/chromium-binary.mjs';
import { eventually } from '../support/eventually.js';

interface Reply {
  id?: number;
  result?: Record<string, unknown>;
  error?: { message: string };
}

export interface ChromiumOptions {
  flags?: string[];
  /** Settings of the profile, as its file `Preferences` has them. */
  preferences?: object;
}

/** A real Chromium without a screen, driven by its own DevTools protocol. */
export class Chromium {
  readonly #waiting = new Map<number, { resolve: (result: never) => void; reject: (error: Error) => void }>();
  #last = 0;

  private constructor(
    private readonly child: ChildProcess,
    private readonly profile: string,
    private readonly socket: WebSocket,
  ) {
    socket.on('message', (data: Buffer) => {
      const { id = 0, result = {}, error } = JSON.parse(data.toString()) as Reply;
      const waiting = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (error === undefined) waiting?.resolve(result as never);
      else waiting?.reject(new Error(error.message));
    });
  }

  static async start({ flags = [], preferences = {} }: ChromiumOptions = {}): Promise<Chromium> {
    const profile = mkdtempSync(join(tmpdir(), 'chromium-'));
    mkdirSync(join(profile, 'Default'));
    writeFileSync(join(profile, 'Default', 'Preferences'), JSON.stringify(preferences));
    const usual = ['--headless=new', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--no-first-run'];
    const own = ['--remote-debugging-port=0', `--user-data-dir=${profile}`];
    const binary = chromiumBinary();
    if (binary === undefined) throw new Error('No Chromium found: run `node scripts/ensure-chromium.mjs`.');
    const child = spawn(binary, [...usual, ...own, ...flags], {
      stdio: ['ignore', 'ignore', 'pipe'],
      detached: true, // A group of its own: its helpers write to the profile until they end, too.
    });
    let output = '';
    child.stderr.on('data', (chunk) => (output += String(chunk)));
    const url = await eventually('Chromium to listen', () => /ws:\/\/\S+(?=\n)/.exec(output)?.[0], { timeout: 30_000 });
    const socket = new WebSocket(url);
    await once(socket, 'open');
    return new Chromium(child, profile, socket);
  }

  /** A window with cookies of its own. */
  async open(userAgent?: string): Promise<ChromiumWindow> {
    const { browserContextId } = await this.send<{ browserContextId: string }>('Target.createBrowserContext');
    const target = { url: 'about:blank', browserContextId, width: 560, height: 860 };
    const { targetId } = await this.send<{ targetId: string }>('Target.createTarget', target);
    const attached = await this.send<{ sessionId: string }>('Target.attachToTarget', { targetId, flatten: true });
    const window = new ChromiumWindow(this, attached.sessionId, browserContextId);
    if (userAgent !== undefined) await window.send('Emulation.setUserAgentOverride', { userAgent });
    return window;
  }

  send<T>(method: string, params: object = {}, sessionId?: string): Promise<T> {
    const id = ++this.#last;
    this.socket.send(JSON.stringify({ id, method, params, ...(sessionId !== undefined && { sessionId }) }));
    return new Promise<T>((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
    });
  }

  async stop(): Promise<void> {
    this.socket.terminate();
    const ended = once(this.child, 'exit');
    process.kill(-(this.child.pid ?? 0), 'SIGKILL');
    await ended;
    rmSync(this.profile, { recursive: true, force: true, maxRetries: 20, retryDelay: 200 });
  }
}

export class ChromiumWindow {
  constructor(
    private readonly chromium: Chromium,
    private readonly sessionId: string,
    private readonly browserContextId: string,
  ) {}

  send<T>(method: string, params?: object): Promise<T> {
    return this.chromium.send<T>(method, params, this.sessionId);
  }

  async goTo(url: string): Promise<void> {
    await this.send('Page.navigate', { url });
    await this.until(`document.readyState === 'complete' && location.href.startsWith(${JSON.stringify(url)})`);
  }

  /** Closes it, and forgets its cookies. */
  async close(): Promise<void> {
    await this.chromium.send('Target.disposeBrowserContext', { browserContextId: this.browserContextId });
  }

  /** The value of an expression in the page. */
  async eval<T>(expression: string): Promise<T> {
    const { result } = await this.send<{ result: { value: T } }>('Runtime.evaluate', {
      expression,
      returnByValue: true,
      awaitPromise: true,
    });
    return result.value;
  }

  /** Waits until an expression is true in the page, also over changes of the page. */
  async until(expression: string): Promise<void> {
    await eventually(expression, () => this.eval<boolean>(expression).catch(() => false), { timeout: 15_000 });
  }

  /** Fills in a form and submits it, as its button does. */
  async submit(form: string, values: Record<string, string>): Promise<void> {
    await this.eval(`{
      const form = document.querySelector(${JSON.stringify(form)});
      for (const [name, value] of Object.entries(${JSON.stringify(values)})) form.elements[name].value = value;
      form.requestSubmit();
    }`);
  }

  async screenshot(file: string): Promise<void> {
    const { data } = await this.send<{ data: string }>('Page.captureScreenshot');
    writeFileSync(file, Buffer.from(data, 'base64'));
  }
}
