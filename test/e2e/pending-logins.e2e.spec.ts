import {
  Body,
  type CanActivate,
  Controller,
  type ExecutionContext,
  HttpCode,
  Injectable,
  Post,
  Req,
  UseGuards,
} from '@nestjs/common';
import { PassportStrategy } from '@nestjs/passport';
import { ConnectedSocket, SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
import { Strategy as CustomStrategy } from 'passport-custom';
import {
  type Carrier,
  CurrentUser,
  LoginGuard,
  PendingLogin,
  SessionAuthService,
  SessionGuard,
  type SessionRequest,
} from '../../lib/index.js';
import { LocalStrategy, SnapshotSerializer, type TestApplication, type User } from '../support/application.js';
import type { Browser } from '../support/browser.js';
import { idOf, keyOf, sessionsIn } from '../support/devices.js';
import { type TestClient, TRANSPORTS } from '../support/gateways.js';
import { describePlatforms } from '../support/platforms.js';

const ADA = { id: '1', name: 'Ada' };

@Injectable()
class CodeStrategy extends PassportStrategy(CustomStrategy, 'code') {
  validate(request: SessionRequest & { body?: { code?: string } }): unknown {
    return request.body?.code === '123456' ? request.user : false;
  }
}

/** Shows the form again, instead of an exception. */
class FormGuard extends LoginGuard('code', { method: 'totp' }) {
  protected override handleDenied(): Promise<boolean> {
    return Promise.resolve(true);
  }
}

/** As a guard of bearer tokens does, where a request may have one. */
@Injectable()
class BearerGuard implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    const request = context.switchToHttp().getRequest<SessionRequest>();
    if (request.headers.authorization !== undefined) {
      request.user = { id: request.headers.authorization, name: 'by token' };
    }
    return true;
  }
}

type Request = SessionRequest & { isAuthenticated(): boolean };
const seen = (user: unknown, request: Request) => ({
  user: user ?? null,
  at: request.user ?? null,
  authenticated: request.isAuthenticated(),
});

@Controller('pending')
class PendingController {
  constructor(private readonly auth: SessionAuthService) {}

  @Post()
  @HttpCode(200)
  async begin(@Req() request: SessionRequest, @Body() { pending }: { pending: string[] }) {
    await this.auth.logIn(request, ADA, { method: 'password', pending });
    return {};
  }

  @Post('totp')
  @HttpCode(200)
  @PendingLogin()
  @UseGuards(LoginGuard('code', { method: 'totp' }))
  totp(@CurrentUser() user: unknown, @Req() request: Request) {
    return seen(user, request);
  }

  @Post('form')
  @HttpCode(200)
  @PendingLogin()
  @UseGuards(FormGuard)
  form(@CurrentUser() user: unknown, @Req() request: Request) {
    return seen(user, request);
  }

  @Post('bearer')
  @HttpCode(200)
  @PendingLogin()
  @UseGuards(BearerGuard, SessionGuard)
  async bearer(@CurrentUser() user: User, @Req() request: Request) {
    const was = seen(user, request);
    await this.auth.completeLogin(request, 'totp');
    return was;
  }

  @Post('broken')
  @HttpCode(200)
  @PendingLogin()
  @UseGuards(SessionGuard)
  async broken(@Req() request: Request, @Body() { value }: { value: number }) {
    Object.assign(request.session!, { value: value === 0 ? 0n : value });
    await this.auth.completeLogin(request, 'totp');
    return { user: request.user };
  }
}

@WebSocketGateway()
class PendingGateway {
  constructor(private readonly auth: SessionAuthService) {}

  @SubscribeMessage('who')
  @PendingLogin()
  @UseGuards(SessionGuard)
  who(@CurrentUser() user: User) {
    return { event: 'who', data: user };
  }

  @SubscribeMessage('begin')
  async begin(@ConnectedSocket() client: Carrier) {
    await this.auth.logIn(client, ADA, { pending: ['totp'] });
    return { event: 'begin', data: 'passed' };
  }
}

describe('a pending login in Redis', () => {
  const home = sessionsIn('redis');
  type Stored = Record<'login' | 'missing' | 'spared' | 'trustFor', unknown>;

  it.each<[string, (login: object) => Partial<Stored>]>([
    ['no list of proofs', (login) => ({ login: { ...login, earlier: 5 } })],
    ['a list of what are no proofs', (login) => ({ login: { ...login, earlier: [null] } })],
    ['a method that is no word', (login) => ({ login: { ...login, method: {} } })],
    ['nothing missing', () => ({ missing: [] })],
    ['no list of what was spared', () => ({ spared: { methods: 'totp', epoch: '' } })],
    ['what was spared by no epoch', () => ({ spared: { methods: ['totp'] } })],
    ['a trust of no method', () => ({ trustFor: [[null, 1]] })],
  ])('is none where it is stored with %s', async (_, change) => {
    const application = await home.start({
      controllers: [PendingController],
      providers: [SnapshotSerializer, LocalStrategy, CodeStrategy],
    });
    const browser = application.browser();
    await browser.post('/pending', { json: { pending: ['totp'] } });
    const key = keyOf(idOf(browser).handle);
    const text = (await home.client.get(key))!;
    const { pending } = JSON.parse(text) as { pending: string };
    const stored = JSON.parse(pending) as { login: object };
    const changed = JSON.stringify({ ...stored, ...change(stored.login) });
    await home.client.set(
      key,
      text.replace(JSON.stringify(pending), () => JSON.stringify(changed)),
    );

    expect((await browser.get('/me')).json()).toMatchObject({ statusCode: 401, code: 'unauthenticated' });
    expect((await browser.post('/pending/bearer')).json()).toMatchObject({ statusCode: 401, code: 'unauthenticated' });
  });
});

describePlatforms(() => {
  const home = sessionsIn('memory');
  const start = ({ providers = [], ...options }: Parameters<typeof home.start>[0] = {}) =>
    home.start({
      controllers: [PendingController],
      providers: [SnapshotSerializer, LocalStrategy, CodeStrategy, ...providers],
      ...options,
    });
  const begin = (browser: Browser, pending = ['totp']) => browser.post('/pending', { json: { pending } });

  describe('a user whose login is pending', () => {
    let application: TestApplication;
    let browser: Browser;
    beforeEach(async () => {
      application = await start();
      browser = application.browser();
    });

    it('is not at request.user after a step that is not the last one', async () => {
      await begin(browser, ['totp', 'sms']);
      const response = await browser.post('/pending/totp', { json: { code: '123456' } });

      expect(response.json()).toEqual({ user: ADA, at: null, authenticated: false });
    });

    it('is nobody in a request whose code was refused and that goes on', async () => {
      await begin(browser);
      const response = await browser.post('/pending/form', { json: { code: '1' } });

      expect(response.json()).toEqual({ user: null, at: null, authenticated: false });
      expect((await browser.post('/pending/form', { json: { code: '123456' } })).json()).toMatchObject({ user: ADA });
    });

    it('is not admitted where another guard has set another user, whose code would count', async () => {
      await begin(browser);
      const response = await browser.post('/pending/bearer', { headers: { authorization: '2' } });

      expect(response.json()).toMatchObject({ statusCode: 401, code: 'login_incomplete' });
      expect((await browser.post('/pending/bearer')).json()).toMatchObject({ user: ADA });
    });

    it('can prove the last method again, when the login could not be completed', async () => {
      await begin(browser);
      expect((await browser.post('/pending/broken', { json: { value: 0 } })).status).toBe(500);
      expect((await browser.get('/me')).json()).toMatchObject({ code: 'login_incomplete', pending: ['totp'] });
      expect((await browser.post('/pending/broken', { json: { value: 1 } })).json()).toEqual({ user: ADA });
    });
  });

  describe.each(TRANSPORTS.slice(0, 2))('a pending login over $name', ({ configure, open }) => {
    let client: TestClient | undefined;
    afterEach(() => {
      client?.close();
    });

    it('admits no message, since an open connection cannot tell when it ends', async () => {
      const application = await start({ configure, providers: [PendingGateway] });
      const browser = application.browser();
      await begin(browser);
      client = await open(application, browser);
      expect(await client.ask('who')).toMatchObject({ code: 'login_incomplete' });
      await browser.post('/logout');
      expect(await client.ask('who')).toMatchObject({ code: 'login_incomplete' });
    });

    it('cannot begin', async () => {
      const application = await start({ configure, providers: [PendingGateway] });
      client = await open(application);
      expect(await client.ask('begin')).toMatchObject({ code: 'cookie_not_sendable' });
    });
  });
});
