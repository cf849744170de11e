import {
  type ContextType,
  Controller,
  type ExecutionContext,
  Get,
  type HttpException,
  Req,
  UnauthorizedException,
} from '@nestjs/common';
import { ROUTE_ARGS_METADATA } from '@nestjs/common/constants.js';
import { Reflector } from '@nestjs/core';
import { ExecutionContextHost } from '@nestjs/core/helpers/execution-context-host.js';
import { WsException } from '@nestjs/websockets';
import { requestOf, responseOf } from '../../lib/access/carrier.js';
import {
  CurrentSession,
  CurrentUser,
  Public,
  SessionGuard,
  SessionAuthService,
  type SessionRequest,
} from '../../lib/index.js';
import { LocalStrategy, SnapshotSerializer, TestApplication } from '../support/application.js';

const ADA = { id: '1', name: 'Ada' };
const DENIED = { statusCode: 401, code: 'unauthenticated', message: 'You are not logged in.' };

const seen: SessionRequest[] = [];

@Controller()
class CaptureController {
  @Get('capture')
  capture(@Req() request: SessionRequest) {
    seen.push(request);
    return {};
  }
}

class Handlers {
  guarded(
    @CurrentUser() _user: unknown,
    @CurrentUser('name') _name: unknown,
    @CurrentUser('email') _missing: unknown,
    @CurrentSession() _session: unknown,
  ) {
    return {};
  }
  @Public()
  open() {
    return {};
  }
}

/** Real requests, as the module leaves them: of a user, of nobody, and of somebody whom the database cannot tell. */
let ada: SessionRequest;
let nobody: SessionRequest;
let unknown: SessionRequest;
let application: TestApplication;
let failing = false;

beforeAll(async () => {
  class Serializer extends SnapshotSerializer {
    override deserializeUser(user: typeof ADA) {
      if (failing) throw new Error('no database');
      return user;
    }
  }
  application = await TestApplication.start({
    providers: [Serializer, LocalStrategy],
    controllers: [CaptureController],
  });
  const browser = await application.loggedIn();
  await browser.get('/capture');
  await application.browser().get('/capture');
  failing = true;
  await browser.get('/capture');
  [ada, nobody, unknown] = seen as [SessionRequest, SessionRequest, SessionRequest];
});

afterAll(() => application.close());

function contextOf(type: string, args: unknown[], handler: () => unknown = Handlers.prototype.guarded as never) {
  const context = new ExecutionContextHost(args, Handlers, handler);
  context.setType(type as ContextType);
  return context;
}

const info = { fieldName: 'me' };
const ack = () => undefined;

/** How each kind of context leads to the HTTP request behind it. */
const contexts: [string, (request: SessionRequest, handler?: () => unknown) => ExecutionContext][] = [
  ['an HTTP', (request, handler) => contextOf('http', [request, {}, ack], handler)],
  ['a GraphQL ({ req })', (request, handler) => contextOf('graphql', [{}, {}, { req: request }, info], handler)],
  ['a GraphQL ({ request })', (request, handler) => contextOf('graphql', [{}, {}, { request }, info], handler)],
  ['a socket.io', (request, handler) => contextOf('ws', [{ id: 'x', request, data: {} }, {}, ack], handler)],
  ['a WebSocket (upgradeReq)', (request, handler) => contextOf('ws', [{ upgradeReq: request }, {}], handler)],
  ['a bare request as WebSocket', (request, handler) => contextOf('ws', [request, {}], handler)],
];

const guard = new SessionGuard(new Reflector());

/** What the guard denies a context with. */
async function denial(context: ExecutionContext, by = guard): Promise<unknown> {
  return by.canActivate(context).then(
    () => Promise.reject(new Error('it was let in')),
    (error: unknown) => error,
  );
}

it('responseOf finds the response of a GraphQL context, by its request where it is not there itself', () => {
  const res = {};
  const own = contextOf('graphql', [{}, {}, { req: ada, res }, info]);
  const ofRequest = contextOf('graphql', [{}, {}, { req: { ...ada, res } }, info]);

  expect(responseOf(own)).toBe(res);
  expect(responseOf(ofRequest)).toBe(res);
});

describe.each(contexts)('in %s context', (_, contextFor) => {
  it('requestOf finds the request', () => {
    expect(requestOf(contextFor(ada))).toBe(ada);
  });

  it('SessionGuard lets in who is logged in', async () => {
    await expect(guard.canActivate(contextFor(ada))).resolves.toBe(true);
  });

  it('SessionGuard lets anybody into a public handler', async () => {
    await expect(guard.canActivate(contextFor(nobody, Handlers.prototype.open))).resolves.toBe(true);
  });

  it('SessionGuard turns away who is not, in the form of that context', async () => {
    const denied = await denial(contextFor(nobody));

    if (contextFor(nobody).getType() === 'ws') {
      expect(denied).toBeInstanceOf(WsException);
      expect((denied as WsException).getError()).toEqual(DENIED);
    } else {
      expect(denied).toBeInstanceOf(UnauthorizedException);
      expect((denied as UnauthorizedException).getResponse()).toEqual(DENIED);
    }
  });

  it('SessionGuard says so when nobody can tell who it is', async () => {
    const denied = await denial(contextFor(unknown));
    const body = denied instanceof WsException ? denied.getError() : (denied as HttpException).getResponse();

    expect(body).toMatchObject({ statusCode: 503, code: 'user_lookup_failed' });
  });

  it('the parameter decorators give the user, a property of theirs, and the session', () => {
    expect(parametersOf(contextFor(ada))).toEqual([ADA, 'Ada', undefined, ada.session]);
    expect(parametersOf(contextFor(nobody))).toEqual([undefined, undefined, undefined, nobody.session]);
  });
});

/** What Nest would hand to the handler. */
function parametersOf(context: ExecutionContext): unknown[] {
  type Factory = (data: unknown, context: ExecutionContext) => unknown;
  const metadata = Reflect.getMetadata(ROUTE_ARGS_METADATA, Handlers, 'guarded') as Record<
    string,
    { index: number; factory: Factory; data: unknown }
  >;
  return Object.values(metadata)
    .sort((a, b) => a.index - b.index)
    .map(({ factory, data }) => factory(data, context));
}

describe('a WebSocket client with no request behind it', () => {
  const bare = () => contextOf('ws', [{ send: ack }, {}]);

  it('is turned away by SessionGuard', async () => {
    expect(await denial(bare())).toBeInstanceOf(WsException);
  });

  it('has no session, and is told where to look', () => {
    expect(() => parametersOf(bare())).toThrow(/This route has no session.*SessionAuthModule is imported/);
  });
});

describe('a guard that extends SessionGuard', () => {
  it('may find the request elsewhere', async () => {
    class GuardOfMessages extends SessionGuard {
      protected override requestOf(context: ExecutionContext): SessionRequest {
        return context.getArgByIndex<{ behind: SessionRequest }>(1).behind;
      }
    }
    const context = contextOf('rpc', [{}, { behind: ada }]);

    await expect(new GuardOfMessages(new Reflector()).canActivate(context)).resolves.toBe(true);
    await expect(denial(context)).resolves.toBeInstanceOf(UnauthorizedException);
  });

  it('may answer a denial in its own way', async () => {
    const reasons: HttpException[] = [];
    class Lenient extends SessionGuard {
      protected override handleDenied(reason: HttpException): Promise<boolean> {
        reasons.push(reason);
        return Promise.resolve(true);
      }
    }
    const lenient = new Lenient(new Reflector());

    for (const [, contextFor] of contexts) {
      await expect(lenient.canActivate(contextFor(nobody))).resolves.toBe(true);
    }
    expect(reasons).toHaveLength(contexts.length);
    expect(reasons[0]?.getResponse()).toEqual(DENIED);
  });
});

describe('SessionAuthService', () => {
  it.each(contexts)('takes the request of %s context', (_, contextFor) => {
    const service = application.app.get(SessionAuthService);

    expect(service.current(requestOf(contextFor(ada))).handle).toMatch(/^[\w-]{28}$/);
  });
});
