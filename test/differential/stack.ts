import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import express, { type NextFunction, type Request, type RequestHandler, type Response } from 'express';
import { Interpreter, newRun, type Program, type Run } from './program.js';

interface Running {
  run: Run;
  /** Settles when the handler is done and the response is out. */
  over: Promise<unknown>;
  handled: () => void;
  answered: () => void;
}

/** A plain Express application that runs the programs its requests bring along. */
export class Stack {
  readonly #runs = new Map<string, Running>();

  private constructor(
    private readonly server: Server,
    readonly url: string,
  ) {}

  static async start(session: RequestHandler): Promise<Stack> {
    const app = express();
    const server = createServer(app as Parameters<typeof createServer>[1]);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const stack = new Stack(server, `http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    app.use((request, response, next) => {
      response.on('close', stack.#running(request.get('x-run')).answered);
      next();
    });
    app.use(session);
    app.use((request, response) => stack.#handle(request, response));
    app.use((error: Error, request: Request, response: Response, next: NextFunction) => {
      const { run, handled } = stack.#running(request.get('x-run'));
      run.errors.push(error.message);
      handled();
      if (response.headersSent) {
        next(error);
        return;
      }
      response.status((error as { status?: number }).status ?? 500).json({ error: error.message });
    });
    return stack;
  }

  /** What the handler of this request leaves behind, once it is over: the client may have all of the response before. */
  async take(id: string): Promise<Run> {
    const { run, over } = this.#running(id);
    await over;
    this.#runs.delete(id);
    return run;
  }

  async close(): Promise<void> {
    this.server.closeAllConnections();
    this.server.close();
    await once(this.server, 'close');
  }

  async #handle(request: Request, response: Response): Promise<void> {
    const { run, handled } = this.#running(request.get('x-run'));
    const program = JSON.parse(decodeURIComponent(request.get('x-program') ?? '{}')) as Program;
    await new Interpreter(request, response, run).perform(program);
    handled();
  }

  #running(id = ''): Running {
    const known = this.#runs.get(id);
    if (known !== undefined) {
      return known;
    }
    const [done, handled] = deferred();
    const [out, answered] = deferred();
    const running = { run: newRun(), over: Promise.all([done, out]), handled, answered };
    this.#runs.set(id, running);
    return running;
  }
}

function deferred(): [Promise<void>, () => void] {
  let resolve: () => void = () => undefined;
  const promise = new Promise<void>((settle) => (resolve = settle));
  return [promise, resolve];
}
