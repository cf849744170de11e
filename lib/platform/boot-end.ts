import { errorMonitor, type EventEmitter } from 'node:events';
import { Inject, Injectable, Module, type OnApplicationBootstrap } from '@nestjs/common';
import { type AbstractHttpAdapter, HttpAdapterHost, ModulesContainer } from '@nestjs/core';

/** What is opened when the application has booted. */
interface Opened {
  open(): Promise<void>;
  /** Closes it again: the boot has failed after all. May be opened anew. */
  rest(): void;
}

/**
 * Opens things when nothing of the boot can fail any more: after the hooks of every other module. A server that cannot
 * listen, since its port is taken, has them closed again.
 */
@Injectable()
export class BootEnd implements OnApplicationBootstrap {
  readonly #opened: Opened[] = [];

  constructor(
    @Inject(HttpAdapterHost) private readonly host: HttpAdapterHost,
    @Inject(ModulesContainer) modules: ModulesContainer,
  ) {
    // Nest calls hooks by distance from the root module, the farthest first. Behind the root module itself comes:
    for (const module of modules.values()) {
      if (module.metatype === BootEndModule) {
        module.distance = -Infinity;
      }
    }
  }

  /** Has this opened at the end of the boot. */
  opens(opened: Opened): void {
    this.#opened.push(opened);
  }

  async onApplicationBootstrap(): Promise<void> {
    // An application context, which serves nothing, has none.
    const adapter = this.host.httpAdapter as AbstractHttpAdapter | null | undefined;
    const server = adapter?.getHttpServer() as (EventEmitter & { listening: boolean }) | undefined;
    server?.on('listening', () => void this.#open());
    server?.on(errorMonitor, () => {
      if (!server.listening) {
        this.#opened.forEach((one) => {
          one.rest();
        });
      }
    });
    await this.#open();
  }

  async #open(): Promise<void> {
    await Promise.all(this.#opened.map((one) => one.open()));
  }
}

/** A module of its own for {@link BootEnd}: hooks are called module by module. */
@Module({ providers: [BootEnd], exports: [BootEnd] })
export class BootEndModule {}
