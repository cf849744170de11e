import { Body, Controller, HttpCode, Post, Req } from '@nestjs/common';
import type { Request } from 'express';
import {
  type AuthenticatorFlags,
  type RegisteredFunction,
  SessionChallengeStore,
  Strategy as WebAuthn,
  type VerifiedFunction,
} from 'passport-fido2-webauthn';
import { LoginGuard } from '../../lib/index.js';
import type { TestApplication, User } from '../support/application.js';
import type { Browser } from '../support/browser.js';
import { describePlatforms } from '../support/platforms.js';
import { Authenticator } from './authenticator.js';
import { handleOf, loginRoutes, sites, whoIs } from './site.js';

const ADA: User = { id: '7', name: 'Ada' };

interface Owner {
  id: Buffer;
  name: string;
}

const challenges = new SessionChallengeStore();
const keys = new Map<string, { user: User; publicKey: string }>();

/** Two functions, one for a known key and one for a new one: more than `PassportStrategy` passes on. */
const strategy = {
  provide: WebAuthn,
  useFactory: () =>
    new WebAuthn(
      { store: challenges },
      (credential: string, _owner: Buffer, _flags: AuthenticatorFlags, done: VerifiedFunction) => {
        const key = keys.get(credential);
        if (key) done(null, key.user, key.publicKey);
        else done(null, false, { message: 'Unknown key' });
      },
      (owner: Owner | undefined, credential: string, publicKey: string, done: RegisteredFunction) => {
        if (!owner) {
          done(null, false, { message: 'Nobody to register for' });
          return;
        }
        const user = { id: owner.id.toString(), name: owner.name };
        keys.set(credential, { user, publicKey });
        done(null, user);
      },
    ),
};

@Controller('challenge')
class ChallengeController {
  @Post()
  @HttpCode(200)
  async challenge(@Req() request: Request, @Body() user: Partial<User>) {
    const owner: Owner | undefined = user.id ? { id: Buffer.from(user.id), name: user.name ?? '' } : undefined;
    const challenge = await new Promise<Buffer>((resolve, reject) => {
      challenges.challenge(request, { user: owner }, (error, made) => {
        if (made) resolve(made);
        else reject(error as Error);
      });
    });
    return { challenge: challenge.toString('base64url') };
  }
}

const site = sites();

describePlatforms(() => {
  describe('passport-fido2-webauthn', () => {
    let application: TestApplication;

    beforeAll(async () => {
      application = await site.start([strategy], {
        controllers: [ChallengeController, loginRoutes(LoginGuard('webauthn', { method: 'webauthn' }))],
      });
    });

    async function challengeFor(browser: Browser, user: Partial<User> = {}): Promise<string> {
      return (await browser.post('/challenge', { json: user })).json<{ challenge: string }>().challenge;
    }

    const show = (browser: Browser, json: object) => browser.post('/login/callback', { json });

    /** A key that was registered for ada. */
    async function registered(): Promise<Authenticator> {
      const authenticator = new Authenticator(application.url);
      const browser = application.browser();
      const response = await show(browser, authenticator.create(await challengeFor(browser, ADA)));
      expect([response.status, response.json()]).toEqual([200, { user: ADA }]);
      expect(await whoIs(browser)).toEqual(ADA);
      return authenticator;
    }

    it('registers a key, and logs in by it on a new session', async () => {
      const authenticator = await registered();
      const browser = application.browser();
      const challenge = await challengeFor(browser);
      const anonymous = browser.fork();

      const response = await show(browser, authenticator.get(challenge, ADA.id));
      expect([response.status, response.json()]).toEqual([200, { user: ADA }]);
      expect(await whoIs(browser)).toEqual(ADA);
      expect(application.events.at(-1)).toMatchObject({ type: 'logged-in', method: 'webauthn' });
      expect(handleOf(browser)).not.toBe(handleOf(anonymous));
      expect(await whoIs(anonymous)).toBeUndefined();
    });

    it('refuses the response to a challenge of another browser, and one that is shown again', async () => {
      const authenticator = await registered();
      const [first, other] = [application.browser(), application.browser()];
      await challengeFor(other);
      const response = authenticator.get(await challengeFor(first), ADA.id);

      for (const stranger of [other, application.browser()]) {
        const refused = await show(stranger, response);
        expect([refused.status, refused.json<{ code: string }>().code]).toEqual([403, 'login_failed']);
        expect(await whoIs(stranger)).toBeUndefined();
      }
      expect((await show(first, response)).status).toBe(200);
      expect((await show(first, response)).status).toBe(403);
      expect(await whoIs(first)).toEqual(ADA);
    });

    it('registers no key by the challenge of somebody who is not known', async () => {
      const browser = application.browser();
      const response = await show(browser, new Authenticator(application.url).create(await challengeFor(browser)));
      expect([response.status, response.json<{ message: string }>().message]).toEqual([401, 'Nobody to register for']);
      expect(await whoIs(browser)).toBeUndefined();
    });

    it('refuses a key that nobody has registered, and a signature by another key', async () => {
      const [known, unknown] = [await registered(), new Authenticator(application.url)];
      const browser = application.browser();

      const stranger = await show(browser, unknown.get(await challengeFor(browser), ADA.id));
      expect(stranger.status).toBe(401);
      expect(stranger.json()).toMatchObject({ code: 'login_failed', message: 'Unknown key' });

      const challenge = await challengeFor(browser);
      const { response } = unknown.get(challenge, ADA.id);
      const forged = await show(browser, { ...known.get(challenge, ADA.id), response });
      expect([forged.status, forged.json<{ message: string }>().message]).toEqual([403, 'Invalid signature']);
      expect(await whoIs(browser)).toBeUndefined();
    });
  });
});
