import { IncomingMessage } from 'node:http';
import { Http2ServerRequest } from 'node:http2';
import { Socket } from 'node:net';
import { Readable } from 'node:stream';
import {
  type ContextType,
  Controller,
  type ExecutionContext,
  Get,
  HttpException,
  Req,
  UnauthorizedException,
} from '@nestjs/common';
import { ROUTE_ARGS_METADATA } from '@nestjs/common/constants.js';
import { Reflector } from '@nestjs/core';
import { ExecutionContextHost } from '@nestjs/core/helpers/execution-context-host.js';
import { RpcException } from '@nestjs/microservices';
import { WsException } from '@nestjs/websockets';
import { requestOf, responseOf } from '../../lib/access/carrier.js';
import {
  CurrentSession,
  CurrentUser,
  Public,
  SessionGuard,
  SessionAuthService,
  type SessionRequest,
  SessionUnavailableException,
  UnauthenticatedException,
} from '../../lib/index.js';
import { LocalStrategy, SnapshotSerializer, TestApplication } from '../support/application.js';
import { CARRIERS } from '../support/carriers.js';

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
  user(@CurrentUser() _user: unknown, @CurrentUser('name') _name: unknown) {
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
  [
    'a GraphQL ({ reply })',
    (request, handler) => contextOf('graphql', [{}, {}, { reply: { request } }, info], handler),
  ],
  [
    'a GraphQL ({ extra }, of graphql-ws)',
    (request, handler) => contextOf('graphql', [{}, {}, { extra: { request } }, info], handler),
  ],
  [
    'a GraphQL ({ req: { extra } }, of graphql-ws)',
    (request, handler) => contextOf('graphql', [{}, {}, { req: { extra: { request } } }, info], handler),
  ],
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

it("a test's own context, which knows nothing but how everybody asks for the request, leads to it", async () => {
  const context = {
    getType: () => 'http',
    getHandler: () => Handlers.prototype.guarded,
    getClass: () => Handlers,
    switchToHttp: () => ({ getRequest: () => ada, getResponse: () => ada }),
  } as unknown as ExecutionContext;

  expect(requestOf(context)).toBe(ada);
  expect(responseOf(context)).toBe(ada);
  await expect(guard.canActivate(context)).resolves.toBe(true);
});

it('responseOf finds the response of a GraphQL context, by its request where it is not there itself', () => {
  const res = {};
  const responseIn = (context: object) => responseOf(contextOf('graphql', [{}, {}, context, info]));
  const ofExpress = ada as SessionRequest & { res: unknown };
  const withoutResponse: unknown = Object.create(ada, { res: { value: undefined } });

  expect(responseIn({ req: ada, res })).toBe(res);
  expect(responseIn({ req: ada, reply: res })).toBe(res);
  expect(responseIn({ req: ada })).toBe(ofExpress.res);
  expect(responseIn({ req: withoutResponse })).toBe(ofExpress.res);
  expect(responseIn({ req: Object.assign(new IncomingMessage(new Socket()), { res }) })).toBe(res);
});

it.each([
  ["Node's request", new IncomingMessage(new Socket())],
  ["an HTTP/2 server's request", Object.create(Http2ServerRequest.prototype) as Readable],
  ["what Fastify's inject() has for one", Object.assign(new Readable(), { url: '/', headers: {} })],
])('requestOf finds %s in a GraphQL context, and one that has it at "raw", though it has no session', (_, request) => {
  const foundIn = (req: unknown): unknown => requestOf(contextOf('graphql', [{}, {}, { req }, info]));
  const ofFastify = { raw: request };

  expect(foundIn(request)).toBe(request);
  expect(foundIn(ofFastify)).toBe(ofFastify);
  expect(() => foundIn(new Readable())).toThrow(SessionUnavailableException);
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

  it('the parameter decorators give the user, a property of theirs, and the session', async () => {
    expect(await parametersOf(contextFor(ada))).toEqual([ADA, 'Ada', undefined, ada.session]);
    expect(await parametersOf(contextFor(nobody))).toEqual([undefined, undefined, undefined, nobody.session]);
  });
});

/** What Nest would hand to the handler. */
function parametersOf(context: ExecutionContext, method: keyof Handlers = 'guarded'): Promise<unknown[]> {
  type Factory = (data: unknown, context: ExecutionContext) => unknown;
  const metadata = Reflect.getMetadata(ROUTE_ARGS_METADATA, Handlers, method) as Record<
    string,
    { index: number; factory: Factory; data: unknown }
  >;
  const parameters = Object.values(metadata).sort((a, b) => a.index - b.index);
  return Promise.all(parameters.map(({ factory, data }) => factory(data, context)));
}

const GRACE = { id: '2', name: 'Grace' };
const UNAVAILABLE = {
  statusCode: 500,
  code: 'session_unavailable',
  message: expect.stringMatching(/This route has no session.*SessionAuthModule is imported/),
};

describe.each<[string, unknown, () => ExecutionContext]>([
  ['a WebSocket client', WsException, () => contextOf('ws', [{ send: ack, user: GRACE }, { user: GRACE }])],
  ['a message of a microservice', RpcException, () => contextOf('rpc', [{ user: GRACE, request: ada }, {}])],
  ['a GraphQL context', Error, () => contextOf('graphql', [{}, {}, { user: GRACE, req: { user: GRACE } }, info])],
  ['a context of another kind', Error, () => contextOf('telegram', [{ user: GRACE }])],
])('%s with no request behind it', (_, thrown, bare) => {
  const bodyOf = (error: unknown) =>
    error instanceof HttpException ? error.getResponse() : (error as WsException).getError();

  it('is turned away by SessionGuard as one that cannot have a session', async () => {
    const denied = await denial(bare());

    expect(denied).toBeInstanceOf(thrown);
    expect(bodyOf(denied)).toEqual(UNAVAILABLE);
  });

  it('has no session, and is told where to look', async () => {
    const error: unknown = await parametersOf(bare()).catch((reason: unknown) => reason);

    expect(error).toBeInstanceOf(thrown);
    expect(bodyOf(error)).toEqual(UNAVAILABLE);
  });

  it('never makes the current user of what its sender says', async () => {
    const [user, name] = await parametersOf(bare(), 'user').catch(() => []);

    expect([user, name]).toEqual([undefined, undefined]);
  });
});

describe('a guard that extends SessionGuard', () => {
  it('may find the request elsewhere, and still refuses in the form of the context', async () => {
    class GuardOfMessages extends SessionGuard {
      protected override requestOf(context: ExecutionContext): SessionRequest {
        return context.getArgByIndex<{ behind: SessionRequest }>(1).behind;
      }
    }
    const context = contextOf('rpc', [{}, { behind: ada }]);

    await expect(new GuardOfMessages(new Reflector()).canActivate(context)).resolves.toBe(true);
    await expect(
      new GuardOfMessages(new Reflector()).canActivate(contextOf('rpc', [{}, { behind: nobody }])),
    ).rejects.toMatchObject({ error: DENIED });
    await expect(denial(context)).resolves.toBeInstanceOf(RpcException);
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
  it.each(CARRIERS)('takes %s', (_, carrierOf) => {
    const service = application.app.get(SessionAuthService);

    expect(service.current(carrierOf(ada)).handle).toMatch(/^[\w-]{28}$/);
    expect(() => service.current(carrierOf(nobody))).toThrow(UnauthenticatedException);
  });

  it('refuses what leads to no request, and follows nothing that a sender says', async () => {
    const service = application.app.get(SessionAuthService);
    const carrier = { extra: { data: { request: ada } }, connectionParams: { request: ada }, req: { body: ada } };

    expect(() => service.current(carrier)).toThrow(SessionUnavailableException);
    await expect(service.logIn(carrier, ADA)).rejects.toThrow(SessionUnavailableException);
    await expect(service.logOut(carrier)).rejects.toThrow(SessionUnavailableException);
    await expect(service.reauthenticate(carrier)).rejects.toThrow(SessionUnavailableException);
  });
});
