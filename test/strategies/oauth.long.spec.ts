import { generateKeyPairSync } from 'node:crypto';
import { Injectable, type Provider as NestProvider, type Type } from '@nestjs/common';
import { PassportStrategy } from '@nestjs/passport';
import type { Request } from 'express';
import { allowInsecureRequests, discovery } from 'openid-client';
import { Strategy as OpenIdClient, type VerifyFunction } from 'openid-client/passport';
import { Strategy as Apple } from 'passport-apple';
import { Strategy as Auth0 } from 'passport-auth0';
import { Strategy as Discord } from 'passport-discord';
import { Strategy as GitHub } from 'passport-github2';
import { Strategy as Google } from 'passport-google-oauth20';
import { Strategy as Microsoft } from 'passport-microsoft';
import { Strategy as OAuth2 } from 'passport-oauth2';
import { Strategy as OpenIdConnect } from 'passport-openidconnect';
import { LoginGuard, type LoginGuardOptions } from '../../lib/index.js';
import type { TestApplication, User } from '../support/application.js';
import type { Browser } from '../support/browser.js';
import { describePlatforms } from '../support/platforms.js';
import { AT_PROVIDER, CLIENT, comeBack, Provider, type Return } from './provider.js';
import { handleOf, loginRoutes, sites, whoIs } from './site.js';

const DECLINED = 'The user declined.';
const ADA: User = { id: '7', name: 'Ada' };

/** What binds a login to the browser that began it; the session keeps it while the browser is at the provider. */
type Binding = 'state' | 'nonce' | 'code_challenge';

interface Member {
  package: string;
  strategy: (provider: Provider) => NestProvider | Promise<NestProvider>;
  bindings: Binding[];
  options?: LoginGuardOptions;
  /** The status of a refusal of an unknown state. Default: 403, as passport-oauth2 has it. */
  refused?: number;
  /** The status where the state, the nonce or the verifier is another one. Default: as `refused`. */
  mismatch?: number;
  /** The message for a user who declines. Default: the description that the provider gives. */
  declined?: string;
}

/** A strategy of the family, declared as Nest applications do. */
function declared(Base: typeof OAuth2, options: object, adjust: (strategy: OAuth2) => void = () => undefined): Type {
  @Injectable()
  class DeclaredStrategy extends PassportStrategy(Base, 'it') {
    constructor() {
      super({ ...CLIENT, callbackURL: '/login/callback', state: true, ...options } as never);
      adjust(this);
    }
    /** Packages differ in what they give before the profile. */
    validate(...given: unknown[]): User {
      const { id = '', displayName, username = '' } = given.at(-2) as Partial<typeof AT_PROVIDER>;
      return { id, name: displayName || username };
    }
  }
  return DeclaredStrategy;
}

const at = ({ url }: Provider) => ({ authorizationURL: `${url}/authorize`, tokenURL: `${url}/token` });

/** passport-oauth2 itself fetches no profile: that is left to a subclass. */
class WithProfile extends OAuth2 {
  userInfoURL = '';

  override userProfile(accessToken: string, done: (error?: unknown, profile?: unknown) => void): void {
    this._oauth2.get(this.userInfoURL, accessToken, (error, body) => {
      done(error, body === undefined ? undefined : JSON.parse(body as string));
    });
  }
}

/** Apple's id token comes in place of the profile, and its client secret is a token that the key signs. */
@Injectable()
class AppleStrategy extends PassportStrategy(Apple, 'it', 6) {
  validate(_request: Request, _accessToken: string, _refreshToken: string, idToken: string): User {
    const { sub, name } = JSON.parse(Buffer.from(idToken.split('.')[1] ?? '', 'base64url').toString()) as User & {
      sub: string;
    };
    return { id: sub, name };
  }
}

function apple(provider: Provider): NestProvider {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const options = {
    ...CLIENT,
    ...at(provider),
    callbackURL: '/login/callback',
    state: true,
    teamID: 'team',
    keyID: 'key',
    privateKeyString: privateKey.export({ type: 'pkcs8', format: 'pem' }),
  };
  return { provide: AppleStrategy, useFactory: () => new AppleStrategy(options) };
}

/** Takes the address to come back to from the request: this application does not know its port before it listens. */
class OpenIdClientStrategy extends PassportStrategy(OpenIdClient, 'it') {
  override authorizationRequestParams(request: Request, options: never): URLSearchParams {
    const params = super.authorizationRequestParams(request, options) as URLSearchParams;
    params.set('redirect_uri', `${request.protocol}://${request.headers.host}/login/callback`);
    return params;
  }
  validate(tokens: Parameters<VerifyFunction>[0]): User {
    const claims = tokens.claims();
    return { id: claims?.sub ?? '', name: claims?.['name'] as string };
  }
}

async function openIdClient({ url }: Provider): Promise<NestProvider> {
  const config = await discovery(new URL(url), CLIENT.clientID, CLIENT.clientSecret, undefined, {
    // eslint-disable-next-line @typescript-eslint/no-deprecated -- Not to be removed: marked so that it stands out.
    execute: [allowInsecureRequests],
  });
  return { provide: OpenIdClientStrategy, useFactory: () => new OpenIdClientStrategy({ config, scope: 'openid' }) };
}

const FAMILY: Member[] = [
  {
    package: 'passport-oauth2',
    strategy: (provider) =>
      declared(WithProfile, { ...at(provider), pkce: true }, (strategy) => {
        (strategy as WithProfile).userInfoURL = `${provider.url}/userinfo`;
      }),
    bindings: ['state', 'code_challenge'],
  },
  {
    package: 'passport-google-oauth20',
    strategy: (provider) =>
      declared(Google, { ...at(provider), pkce: true, userProfileURL: `${provider.url}/userinfo` }),
    bindings: ['state', 'code_challenge'],
    options: { scope: ['openid', 'profile'] },
  },
  {
    package: 'passport-github2',
    strategy: (provider) => declared(GitHub, { ...at(provider), pkce: true, userProfileURL: `${provider.url}/user` }),
    bindings: ['state', 'code_challenge'],
  },
  {
    package: 'passport-discord',
    // The address of its profile is fixed.
    strategy: ({ agent }) =>
      declared(Discord, { pkce: true }, (strategy) => {
        (strategy as unknown as { _oauth2: { setAgent(agent: unknown): void } })._oauth2.setAgent(agent);
      }),
    bindings: ['state', 'code_challenge'],
  },
  {
    package: 'passport-microsoft',
    strategy: (provider) => declared(Microsoft, { ...at(provider), pkce: true, apiEntryPoint: provider.url }),
    bindings: ['state', 'code_challenge'],
  },
  {
    package: 'passport-auth0',
    strategy: (provider) =>
      declared(Auth0, {
        ...at(provider),
        domain: 'tenant.auth0.test',
        userInfoURL: `${provider.url}/userinfo`,
        expectedIssuer: provider.url,
      }),
    bindings: ['state', 'nonce'],
    options: { scope: 'openid profile' },
    declined: 'access_denied',
  },
  {
    package: 'passport-openidconnect',
    strategy: (provider) =>
      declared(OpenIdConnect, {
        ...at(provider),
        issuer: provider.url,
        userInfoURL: `${provider.url}/userinfo`,
        nonce: true,
      }),
    bindings: ['state', 'nonce'],
  },
  {
    package: 'openid-client',
    strategy: openIdClient,
    bindings: ['code_challenge', 'state'],
    refused: 401,
    mismatch: 500,
  },
  // By `state: {}` the strategy keeps a state in the session; by itself, it makes one that it never looks at again.
  { package: 'passport-apple', strategy: apple, bindings: ['state'], options: { state: {}, crossSite: true } },
];

const site = sites();
let provider: Provider;

beforeAll(async () => {
  provider = await Provider.start();
  site.closeLater(() => provider.stop());
});

describePlatforms(() => {
  describe.each(FAMILY)('$package', (member) => {
    const { strategy, options, bindings, refused = 403, mismatch = refused, declined = DECLINED } = member;
    let application: TestApplication;

    beforeAll(async () => {
      application = await site.start([await strategy(provider)], {
        controllers: [loginRoutes(LoginGuard('it', options))],
      });
    });

    /** Where the strategy sends this browser. */
    async function sentTo(browser: Browser): Promise<string> {
      const { status, headers } = await browser.get('/login');
      expect(status).toBe(302);
      return headers.location ?? '';
    }

    /** How this browser comes back after its user has agreed. */
    async function agreed(browser: Browser): Promise<Return> {
      return provider.agree(await sentTo(browser));
    }

    async function isRefused(browser: Browser, back: Return, status: number, more: object = {}): Promise<void> {
      const response = await comeBack(browser, back);
      expect(response.status).toBe(status);
      if (status < 500) expect(response.json()).toMatchObject({ code: 'login_failed', ...more });
    }

    it('logs in through the provider on a new session', async () => {
      const browser = application.browser();
      const asked = new URL(await sentTo(browser)).searchParams;
      for (const binding of bindings) expect(asked.get(binding)).toMatch(/./);
      const anonymous = browser.fork();
      expect(handleOf(anonymous)).toMatch(/./);

      const response = await comeBack(browser, await agreed(browser));
      expect([response.status, response.json()]).toEqual([200, { user: ADA }]);
      expect(await whoIs(browser)).toEqual(ADA);
      expect(handleOf(browser)).not.toBe(handleOf(anonymous));
      expect((await browser.get('/session')).json()).toEqual({});

      expect(await whoIs(anonymous)).toBeUndefined();
      expect((await anonymous.get('/session')).json()).toEqual({});
    });

    it('makes another state and challenge for each login', async () => {
      const browser = application.browser();
      const asked = [new URL(await sentTo(browser)), new URL(await sentTo(application.browser()))];
      for (const binding of bindings) {
        expect(new Set(asked.map(({ searchParams }) => searchParams.get(binding))).size).toBe(2);
      }
    });

    it('refuses a callback that another browser shows, which leaves the login to the first', async () => {
      const [first, other] = [application.browser(), application.browser()];
      const back = await agreed(first);

      await isRefused(other, back, refused);
      expect(await whoIs(other)).toBeUndefined();
      expect(other.cookies.size).toBe(0);
      expect((await comeBack(first, back)).status).toBe(200);
    });

    it('refuses a callback with the state of a login of another browser', async () => {
      const [victim, attacker] = [application.browser(), application.browser()];
      await sentTo(victim);
      await isRefused(victim, await agreed(attacker), mismatch);
      expect(await whoIs(victim)).toBeUndefined();
    });

    it('refuses a callback that is shown again, and the login stays', async () => {
      const browser = application.browser();
      const back = await agreed(browser);
      await comeBack(browser, back);
      await isRefused(browser, back, refused);
      expect(await whoIs(browser)).toEqual(ADA);
    });

    if (bindings.length > 1) {
      it('refuses the code of another login under a state of its own', async () => {
        const [victim, attacker] = [application.browser(), application.browser()];
        const [own, stolen] = [await agreed(victim), await agreed(attacker)];
        own.url.searchParams.set('code', stolen.url.searchParams.get('code') ?? '');

        expect((await comeBack(victim, own)).status).toBeGreaterThanOrEqual(400);
        expect(await whoIs(victim)).toBeUndefined();
      });
    }

    it('refuses the login of a user who declines, in the words of the provider', async () => {
      const browser = application.browser();
      const { url } = await agreed(browser);
      const query = new URLSearchParams({
        state: url.searchParams.get('state') ?? '',
        error: 'access_denied',
        error_description: DECLINED,
      });

      await isRefused(browser, { url: new URL(`?${query.toString()}`, url) }, 401, { message: declined });
      expect(await whoIs(browser)).toBeUndefined();
    });
  });
});
