import { randomUUID } from 'node:crypto';
import { Controller, type ExecutionContext, Get, UseGuards } from '@nestjs/common';
import { Strategy as Saml, type Profile, ValidateInResponseTo, type VerifiedCallback } from '@node-saml/passport-saml';
import { LoginGuard } from '../../lib/index.js';
import type { TestApplication } from '../support/application.js';
import type { Browser } from '../support/browser.js';
import { describePlatforms } from '../support/platforms.js';
import { IdentityProvider } from './identity-provider.js';
import { handleOf, loginRoutes, sites, whoIs } from './site.js';

const ADA = { id: '7', name: 'Ada' };

interface PostedTo {
  session: { relayState?: string };
  body: { RelayState?: string };
  user?: Record<string, unknown>;
}

/** SAML itself does not tie a response to the browser that asked for it: a value that the session keeps does. */
class SamlGuard extends LoginGuard('saml', { crossSite: true }) {
  protected override getAuthenticateOptions(context: ExecutionContext) {
    const { method, session } = context.switchToHttp().getRequest<PostedTo & { method: string }>();
    if (method !== 'GET') return {};
    session.relayState = randomUUID();
    return { additionalParams: { RelayState: session.relayState } };
  }
}

@Controller('login/logout')
class LogoutRoute {
  @Get()
  @UseGuards(LoginGuard('saml', { samlFallback: 'logout-request' }))
  logOut() {}
}

const user = (profile: Profile | null) => ({ id: profile?.nameID ?? '', name: String(profile?.['name']) });

/** Two functions, one for the login and one for the logout: more than `PassportStrategy` passes on. */
function samlStrategy(provider: IdentityProvider) {
  const options = {
    callbackUrl: 'https://app.test/login/callback',
    entryPoint: provider.url,
    issuer: 'the application',
    idpCert: provider.certificate,
    // Each response once. (`always` would refuse the posted acknowledgement of a logout, which it looks for elsewhere.)
    validateInResponseTo: ValidateInResponseTo.ifPresent,
    passReqToCallback: true as const,
  };
  const logIn = (request: PostedTo, profile: Profile | null, done: VerifiedCallback) => {
    const { relayState } = request.session;
    const isOwn = relayState !== undefined && request.body.RelayState === relayState;
    if (isOwn) done(null, user(profile));
    else done(null, undefined, { message: 'The login began in another browser.' });
  };
  const logOut = ({ user }: PostedTo, _profile: Profile | null, done: VerifiedCallback) => {
    done(null, user);
  };
  // The package has its types of Express's requests from another version.
  return { provide: Saml, useFactory: () => new Saml(options, logIn as never, logOut as never) };
}

const site = sites();

describePlatforms(() => {
  describe('@node-saml/passport-saml', () => {
    const provider = new IdentityProvider('the application');
    let application: TestApplication;

    beforeAll(async () => {
      application = await site.start([samlStrategy(provider)], { controllers: [LogoutRoute, loginRoutes(SamlGuard)] });
    });

    async function sentTo(browser: Browser, path = '/login'): Promise<string> {
      const { status, headers } = await browser.get(path);
      expect(status).toBe(302);
      return headers.location ?? '';
    }

    const headers = { 'sec-fetch-site': 'cross-site', origin: 'https://provider.example' };
    const post = (browser: Browser, form: Record<string, string>) => browser.post('/login/callback', { form, headers });

    async function loggedIn(): Promise<Browser> {
      const browser = application.browser();
      expect((await post(browser, provider.loggedIn(await sentTo(browser), ADA))).status).toBe(200);
      return browser;
    }

    it('logs in by a signed response on a new session', async () => {
      const browser = application.browser();
      const location = await sentTo(browser);
      const anonymous = browser.fork();

      const response = await post(browser, provider.loggedIn(location, ADA));
      expect([response.status, response.json()]).toEqual([200, { user: ADA }]);
      expect(await whoIs(browser)).toEqual(ADA);
      expect(handleOf(browser)).not.toBe(handleOf(anonymous));
      expect(await whoIs(anonymous)).toBeUndefined();
      expect((await browser.get('/session')).json()).toEqual({});
    });

    it('refuses a response that another browser shows, or that comes without the cookie', async () => {
      const [first, other] = [application.browser(), application.browser()];
      await sentTo(other);
      for (const browser of [other, application.browser()]) {
        const refused = await post(browser, provider.loggedIn(await sentTo(first), ADA));
        expect(refused.status).toBe(401);
        expect(refused.json()).toMatchObject({
          code: 'login_failed',
          message: 'The login began in another browser.',
        });
        expect(await whoIs(browser)).toBeUndefined();
      }
    });

    it('refuses a response that is shown again, and the login stays', async () => {
      const browser = application.browser();
      const form = provider.loggedIn(await sentTo(browser), ADA);
      await post(browser, form);
      expect((await post(browser, form)).status).toBe(500);
      expect(await whoIs(browser)).toEqual(ADA);
    });

    it('refuses a response that was changed, or that somebody else has signed', async () => {
      const browser = application.browser();
      const { SAMLResponse = '', ...form } = provider.loggedIn(await sentTo(browser), ADA);
      const changed = Buffer.from(SAMLResponse, 'base64').toString().replace('>7<', '>8<');
      const forged = { ...form, SAMLResponse: Buffer.from(changed).toString('base64') };
      const foreign = new IdentityProvider('the application').loggedIn(await sentTo(browser), ADA);

      for (const bad of [forged, foreign]) {
        expect((await post(browser, bad)).status).toBe(500);
        expect(await whoIs(browser)).toBeUndefined();
      }
    });

    it('logs out whom the identity provider logs out', async () => {
      const browser = await loggedIn();
      const copy = browser.fork();
      const response = await post(browser, provider.logOut(ADA));

      expect([response.status, response.headers.location]).toEqual([
        302,
        expect.stringMatching(/^https:\/\/idp\.test\/\?SAMLResponse=/),
      ]);
      for (const one of [browser, copy]) expect(await whoIs(one)).toBeUndefined();
    });

    it('takes the acknowledgement of a logout for no login and for no failure', async () => {
      const browser = await loggedIn();
      const form = provider.acknowledge(await sentTo(browser, '/login/logout'));
      await browser.post('/logout');
      const { length } = application.events;

      const response = await post(browser, form);
      expect([response.status, response.json()]).toEqual([200, { user: null }]);
      expect(application.events.slice(length)).toEqual([]);
      expect(await whoIs(browser)).toBeUndefined();
    });
  });
});
