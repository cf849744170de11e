import { createHmac } from 'node:crypto';
import fastifyCookie from '@fastify/cookie';
import { Controller, Get, HttpCode, Injectable, Post, Req, Res, UseGuards } from '@nestjs/common';
import { PassportStrategy } from '@nestjs/passport';
import type { NextFunction, Request, Response } from 'express';
import type { FastifyInstance } from 'fastify';
import { SignJWT } from 'jose';
import { Strategy as Anonymous } from 'passport-anonymous';
import { Strategy as Custom } from 'passport-custom';
import { Strategy as Bearer } from 'passport-http-bearer';
import { ExtractJwt, Strategy as Jwt } from 'passport-jwt';
import magicLogin from 'passport-magic-login';
import { Strategy as RememberMe } from 'passport-remember-me';
import { Strategy as Totp } from 'passport-totp';
import { CurrentUser, LoginGuard, SessionGuard } from '../../lib/index.js';
import type { TestApplication, User } from '../support/application.js';
import { describePlatforms } from '../support/platforms.js';
import { handleOf, loginRoutes, sites, whoIs } from './site.js';

const ADA: User = { id: '1', name: 'Ada' };
const FORM = { username: 'ada', password: 'lovelace' };
const WRONG = { username: 'ada', password: 'wrong' };
const SECRET = 'the secret of the tokens, of 32 bytes';

const site = sites();
const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

@Injectable()
class BearerStrategy extends PassportStrategy(Bearer) {
  validate(token: string): User | null {
    return token === 'good' ? ADA : null;
  }
}

@Injectable()
class AnonymousStrategy extends PassportStrategy(Anonymous) {
  validate(): never {
    throw new Error('It asks nobody.');
  }
}

describePlatforms((platform) => {
  describe('passport-local', () => {
    it('logs in by a form or JSON on a new session, and refuses a wrong password', async () => {
      const application = await site.start([], { controllers: [loginRoutes(LoginGuard('local'))] });
      const browser = application.browser();
      await browser.request('PUT', '/session/cart', { json: { value: 'book' } });
      const anonymous = handleOf(browser);

      const refused = await browser.post('/login/callback', { form: WRONG });
      expect([refused.status, refused.json<{ code: string }>().code]).toEqual([401, 'login_failed']);
      expect(handleOf(browser)).toBe(anonymous);
      for (const body of [{ form: FORM }, { json: FORM }]) {
        expect((await browser.post('/login/callback', body)).json()).toEqual({ user: ADA });
        expect(await whoIs(browser)).toEqual(ADA);
      }
      expect(handleOf(browser)).not.toBe(anonymous);
    });
  });

  describe('passport-http-bearer', () => {
    let application: TestApplication;

    beforeAll(async () => {
      application = await site.start([BearerStrategy], { controllers: [loginRoutes(LoginGuard('bearer'))] });
    });

    it('opens a session for a token', async () => {
      const browser = application.browser();
      expect((await browser.post('/login/callback', { headers: bearer('good') })).status).toBe(200);
      expect(await whoIs(browser)).toEqual(ADA);
    });

    it.each([
      ['no token', undefined, 'Bearer realm="Users"'],
      ['an unknown token', 'bad', 'Bearer realm="Users", error="invalid_token"'],
    ])('refuses %s by its challenge', async (_what, token, challenge) => {
      const browser = application.browser();
      const response = await browser.post('/login/callback', { headers: token === undefined ? {} : bearer(token) });
      expect([response.status, response.headers['www-authenticate']]).toEqual([401, challenge]);
      expect(response.json()).toMatchObject({ code: 'login_failed' });
      expect(browser.cookies.size).toBe(0);
    });
  });

  describe('passport-jwt', () => {
    @Injectable()
    class JwtStrategy extends PassportStrategy(Jwt) {
      constructor() {
        super({ jwtFromRequest: ExtractJwt.fromAuthHeaderAsBearerToken(), secretOrKey: SECRET, algorithms: ['HS256'] });
      }
      validate({ sub, name }: { sub: string; name: string }): User {
        return { id: sub, name };
      }
    }

    const tokenBy = (secret: string) =>
      new SignJWT({ name: ADA.name })
        .setProtectedHeader({ alg: 'HS256' })
        .setSubject(ADA.id)
        .setExpirationTime('5m')
        .sign(Buffer.from(secret));

    let application: TestApplication;

    beforeAll(async () => {
      application = await site.start([JwtStrategy], { controllers: [loginRoutes(LoginGuard('jwt'))] });
    });

    it('opens a session for a token', async () => {
      const browser = application.browser();
      const response = await browser.post('/login/callback', { headers: bearer(await tokenBy(SECRET)) });
      expect([response.status, response.json()]).toEqual([200, { user: ADA }]);
      expect(await whoIs(browser)).toEqual(ADA);
    });

    it('refuses no token, and a token that somebody else has signed, in its own words', async () => {
      const forged = await tokenBy('the secret of somebody else, 32 bytes');
      for (const [headers, message] of [
        [{}, 'No auth token'],
        [bearer(forged), 'invalid signature'],
      ] as const) {
        const response = await application.browser().post('/login/callback', { headers });
        expect(response.status).toBe(401);
        expect(response.json()).toMatchObject({ code: 'login_failed', message });
      }
    });
  });

  describe('passport-magic-login', () => {
    const sent: string[] = [];
    // An ES module finds the default export of this package under `default`.
    const strategy = new magicLogin.default({
      secret: SECRET,
      callbackUrl: '/login/callback',
      sendMagicLink: (_to, href) => Promise.resolve(void sent.push(href)),
      verify: (payload: { destination: string }, done) => {
        const isAda = payload.destination === 'ada@example.com';
        done(null, isAda ? ADA : undefined, { message: 'Nobody has this address.' });
      },
    });

    @Controller('link')
    class LinkController {
      @Post()
      send(@Req() request: Request, @Res() response: Response): void {
        strategy.send(request as never, response as never);
      }
    }

    let application: TestApplication;

    beforeAll(async () => {
      application = await site.start([{ provide: 'magic', useValue: strategy }], {
        controllers: [LinkController, loginRoutes(LoginGuard('magiclogin'))],
      });
    });

    async function linkFor(destination: string): Promise<string> {
      expect((await application.browser().post('/link', { json: { destination } })).json()).toMatchObject({
        success: true,
      });
      return sent.at(-1) ?? '';
    }

    it('logs in by the link that was sent', async () => {
      const browser = application.browser();
      const response = await browser.get(await linkFor('ada@example.com'));
      expect([response.status, response.json()]).toEqual([200, { user: ADA }]);
      expect(await whoIs(browser)).toEqual(ADA);
    });

    it('refuses a changed link, and the link of somebody unknown, in words', async () => {
      const browser = application.browser();
      for (const [link, message] of [
        [`${await linkFor('ada@example.com')}x`, 'invalid signature'],
        [await linkFor('eve@example.com'), 'Nobody has this address.'],
      ] as const) {
        const response = await browser.get(link);
        expect(response.status).toBe(401);
        expect(response.json()).toMatchObject({ code: 'login_failed', message });
      }
      expect(await whoIs(browser)).toBeUndefined();
    });
  });

  describe('passport-totp', () => {
    const KEY = 'a key that the phone knows too';

    @Injectable()
    class TotpStrategy extends PassportStrategy(Totp) {
      constructor() {
        super({ window: 1 });
      }
      /** The key of this user, and the seconds that a code is good for. */
      validate(user: User): [string, number] {
        return [`${KEY} of ${user.id}`, 30];
      }
    }

    @Controller('totp')
    class TotpController {
      @Post()
      @HttpCode(200)
      @UseGuards(SessionGuard, LoginGuard('totp', { method: 'totp', keep: ['cart'] }))
      check(@CurrentUser() user: User) {
        return { user };
      }
    }

    /** RFC 6238 for the present half minute. */
    function codeOf({ id }: User): string {
      const counter = Buffer.alloc(8);
      counter.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30_000)));
      const digest = createHmac('sha1', `${KEY} of ${id}`).update(counter).digest();
      const number = digest.readUInt32BE((digest.at(-1) ?? 0) & 0xf) & 0x7fffffff;
      return String(number % 1_000_000).padStart(6, '0');
    }

    let application: TestApplication;

    beforeAll(async () => {
      application = await site.start([TotpStrategy], { controllers: [TotpController] });
    });

    it('is a second factor for the user of the session, who goes on under a new id', async () => {
      const browser = await application.loggedIn();
      await browser.request('PUT', '/session/cart', { json: { value: 'book' } });
      const before = browser.fork();

      const response = await browser.post('/totp', { json: { code: codeOf(ADA) } });
      expect([response.status, response.json()]).toEqual([200, { user: ADA }]);
      expect(application.events.at(-1)).toMatchObject({ type: 'logged-in', method: 'totp' });
      expect((await browser.get('/session')).json()).toEqual({ cart: 'book' });
      expect(await whoIs(before)).toBeUndefined();
    });

    it('refuses a wrong code, the code of another user and a request without a session; the session stays', async () => {
      const browser = await application.loggedIn();
      for (const code of ['000000', codeOf({ id: '2', name: 'Grace' })]) {
        const response = await browser.post('/totp', { json: { code } });
        expect([response.status, response.json<{ code: string }>().code]).toEqual([401, 'login_failed']);
      }
      expect(await whoIs(browser)).toEqual(ADA);
      expect((await application.browser().post('/totp', { json: { code: codeOf(ADA) } })).json()).toMatchObject({
        code: 'unauthenticated',
      });
    });
  });

  describe('passport-custom', () => {
    @Injectable()
    class CustomStrategy extends PassportStrategy(Custom) {
      validate({ body }: Request): User | null {
        return (body as { pin?: string }).pin === '1234' ? ADA : null;
      }
    }

    it('logs in by whatever the application reads from the request', async () => {
      const application = await site.start([CustomStrategy], { controllers: [loginRoutes(LoginGuard('custom'))] });
      const browser = application.browser();
      expect((await browser.post('/login/callback', { json: { pin: '0000' } })).status).toBe(401);
      expect((await browser.post('/login/callback', { json: { pin: '1234' } })).status).toBe(200);
      expect(await whoIs(browser)).toEqual(ADA);
    });
  });

  describe('passport-anonymous', () => {
    let application: TestApplication;

    beforeAll(async () => {
      application = await site.start([AnonymousStrategy, BearerStrategy], {
        controllers: [loginRoutes(LoginGuard(['bearer', 'anonymous']))],
      });
    });

    it('lets a request go on without a user and without a session, and is no failed login', async () => {
      const browser = application.browser();
      const { length } = application.events;
      const response = await browser.get('/login');
      expect([response.status, response.json()]).toEqual([200, { user: null }]);
      expect(browser.cookies.size).toBe(0);
      expect(await whoIs(browser)).toBeUndefined();
      expect(application.events.slice(length)).toEqual([]);
    });

    it('leaves the user of a session as it was', async () => {
      const browser = await application.loggedIn();
      expect((await browser.get('/login')).json()).toEqual({ user: ADA });
    });

    it('comes after a strategy that logs in', async () => {
      const browser = application.browser();
      expect((await browser.get('/login', { headers: bearer('good') })).json()).toEqual({ user: ADA });
      expect(await whoIs(browser)).toEqual(ADA);
    });
  });

  describe('passport-remember-me', () => {
    function readCookies(request: Request, _response: Response, next: NextFunction): void {
      const pairs = (request.headers.cookie ?? '').split('; ').map((pair) => pair.split('='));
      request.cookies = Object.fromEntries(pairs) as Record<string, string>;
      next();
    }

    const tokens = new Map<string, User>();
    let issued = 0;

    function issue(user: User): string {
      const token = `token-${++issued}`;
      tokens.set(token, user);
      return token;
    }

    /** Two functions, one to use a token up and one to issue the next: more than `PassportStrategy` passes on. */
    const strategy = {
      provide: RememberMe,
      useFactory: () =>
        new RememberMe<User>(
          (token, done) => {
            const user = tokens.get(token) ?? false;
            tokens.delete(token);
            done(null, user);
          },
          (user, done) => done(null, issue(user)),
        ),
    };

    @Controller('page')
    class PageController {
      @Get()
      @UseGuards(LoginGuard('remember-me'))
      page(@CurrentUser() user: User | undefined) {
        return { user: user ?? null };
      }

      @Post('remember')
      @UseGuards(SessionGuard)
      remember(@CurrentUser() user: User, @Res() response: Response): void {
        response.cookie('remember_me', issue(user), { httpOnly: true, path: '/' }).json({});
      }
    }

    let application: TestApplication;

    beforeAll(async () => {
      application = await site.start([strategy], {
        controllers: [PageController],
        // The strategy reads what cookie-parser leaves on the request, or @fastify/cookie.
        configure: (app) =>
          platform === 'fastify'
            ? void (app.getHttpAdapter().getInstance() as FastifyInstance).register(fastifyCookie)
            : app.use(readCookies),
      });
    });

    it('logs in by its cookie, once for each token', async () => {
      const browser = await application.loggedIn();
      await browser.post('/page/remember');
      browser.cookies.delete('sid');
      const copy = browser.fork();
      const token = browser.cookies.get('remember_me');

      expect((await browser.get('/page')).json()).toEqual({ user: ADA });
      expect(await whoIs(browser)).toEqual(ADA);
      expect(browser.cookies.get('remember_me')).not.toBe(token);
      const week = 7 * 24 * 3_600_000; // What the strategy gives its cookie.
      expect(browser.cookies.find('remember_me')?.expires).toBe(application.clock.now() + week);

      expect((await copy.get('/page')).json()).toEqual({ user: null });
      expect(copy.cookies.size).toBe(0);
    });

    it('lets who is logged in, and who has no cookie, go on as they are', async () => {
      const browser = await application.loggedIn();
      const handle = handleOf(browser);
      expect((await browser.get('/page')).json()).toEqual({ user: ADA });
      expect(handleOf(browser)).toBe(handle);

      const visitor = application.browser();
      expect((await visitor.get('/page')).json()).toEqual({ user: null });
      expect(visitor.cookies.size).toBe(0);
    });
  });

  describe('Several strategies in one guard', () => {
    it('log in by the first that succeeds, in either order, and refuse when all refuse', async () => {
      for (const names of [
        ['local', 'bearer'],
        ['bearer', 'local'],
      ]) {
        const application = await site.start([BearerStrategy], { controllers: [loginRoutes(LoginGuard(names))] });
        for (const proof of [{ headers: bearer('good') }, { form: FORM }]) {
          const browser = application.browser();
          expect((await browser.post('/login/callback', proof)).json()).toEqual({ user: ADA });
          expect(await whoIs(browser)).toEqual(ADA);
        }
        const browser = application.browser();
        const refused = await browser.post('/login/callback', { form: WRONG, headers: bearer('bad') });
        expect([refused.status, refused.json<{ code: string }>().code]).toEqual([401, 'login_failed']);
        expect(browser.cookies.size).toBe(0);
      }
    });
  });
});
