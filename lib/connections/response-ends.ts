import {
  type CallHandler,
  type ExecutionContext,
  Inject,
  Injectable,
  type NestInterceptor,
  type Type,
} from '@nestjs/common';
import { ApplicationConfig, MetadataScanner, ModulesContainer } from '@nestjs/core';
import { Observable } from 'rxjs';
import { breakOff, hasHungUp, type SessionRequest } from '../http/session-request.js';
import { type RequestSession, requestSessionOf } from '../session/request-session.js';
import { endsWithSession, isEventStream } from './ends-with-session.js';
import { CLOSES_WITHIN } from './gateway-handshakes.js';
import { SessionConnections } from './session-connections.js';

/**
 * Ends the responses of `@Sse()` routes, and of those that are marked `@EndsWithSession()`, with the session of their
 * request. An application that has no such route does not run it.
 */
@Injectable()
export class ResponseEnds implements NestInterceptor {
  constructor(
    @Inject(ApplicationConfig) config: ApplicationConfig,
    @Inject(ModulesContainer) modules: ModulesContainer,
    @Inject(SessionConnections) private readonly connections: SessionConnections,
  ) {
    if (hasSuchRoute(modules)) {
      config.addGlobalInterceptor(this);
    }
  }

  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    const handler = context.getHandler();
    if (context.getType() !== 'http' || !endsWithSession(handler, context.getClass())) {
      return next.handle();
    }
    const request = context.switchToHttp().getRequest<SessionRequest>();
    const session = requestSessionOf(request);
    if (session === undefined) {
      return next.handle(); // The path is excluded.
    }
    if (isEventStream(handler)) {
      return this.#endStream(request, session, next);
    }
    this.#breakOff(request, session);
    return next.handle();
  }

  /** Completes the stream, so that Nest ends the response, and unsubscribes its source. */
  #endStream(request: SessionRequest, { response }: RequestSession, next: CallHandler): Observable<unknown> {
    return new Observable((subscriber) => {
      subscriber.add(
        this.connections.register(request, () => {
          subscriber.complete();
          // A client that does not read would keep the response open.
          const timer = setTimeout(breakOff, CLOSES_WITHIN, response).unref();
          response.once('close', () => {
            clearTimeout(timer);
          });
        }),
      );
      subscriber.add(next.handle().subscribe(subscriber));
    });
  }

  #breakOff(request: SessionRequest, session: RequestSession): void {
    const { response } = session;
    if (hasHungUp(response)) {
      return; // It would never be released.
    }
    const release = this.connections.register(request, () => {
      if (!session.isLeaving) {
        breakOff(response); // Whoever logs out is told so.
      }
    });
    response.once('close', release);
  }
}

function hasSuchRoute(modules: ModulesContainer): boolean {
  const scanner = new MetadataScanner();
  const controllers = [...modules.values()].flatMap((module) => [...module.controllers.values()]);
  return controllers.some(({ metatype }) => {
    const controller = metatype as Type;
    const prototype = controller.prototype as Record<string, object>;
    const names = scanner.getAllMethodNames(prototype);
    return names.some((name) => endsWithSession(prototype[name] as object, controller));
  });
}
