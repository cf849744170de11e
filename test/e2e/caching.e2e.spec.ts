import { Readable } from 'node:stream';
import {
  Controller,
  Get,
  Header,
  HttpCode,
  NotFoundException,
  Post,
  Query,
  Req,
  Res,
  StreamableFile,
  UseGuards,
} from '@nestjs/common';
import type { Request, Response } from 'express';
import { describePlatforms, sendLicense, storesOn, takeOver } from '../support/platforms.js';
import {
  CurrentSession,
  LoginGuard,
  Public,
  RequireFreshLogin,
  SessionAuthService,
  SessionGuard,
} from '../../lib/index.js';
import { TestApplication } from '../support/application.js';
import { RedisDeployment } from '../support/redis-deployment.js';

/** What CDNs and proxies obey before `Cache-Control`. */
const TARGETED = [
  'CDN-Cache-Control',
  'Cloudflare-CDN-Cache-Control',
  'vercel-cdn-cache-control',
  'NETLIFY-CDN-CACHE-CONTROL',
  'Akamai-Cache-Control',
  'Surrogate-Control',
  'Edge-Control',
  'X-Accel-Expires',
];

function target(response: Response): void {
  for (const name of TARGETED) response.setHeader(name, 'max-age=600');
}

/** Responses of many kinds, the same for guarded and public routes. */
class Pages {
  @Get('plain')
  plain() {
    return { page: 'plain' };
  }
  @Get('targeted')
  targeted(@Res({ passthrough: true }) response: Response) {
    target(response);
    return {};
  }
  @Get('stream')
  stream() {
    return new StreamableFile(Readable.from(['a', 'stream']));
  }
  @Get('piped')
  piped(@Res() response: Response) {
    Readable.from(['a', 'stream']).pipe(takeOver(response));
  }
  @Get('head')
  head(@Res() response: Response) {
    takeOver(response).writeHead(200, { 'Content-Type': 'text/plain' }).end('by hand');
  }
  @Get('missing')
  missing() {
    throw new NotFoundException();
  }
  @Get('by-header')
  @Header('cache-control', 'max-age=5')
  byHeader() {
    return {};
  }
  @Get('by-set')
  bySet(@Res() response: Response) {
    response.set('Cache-Control', 'max-age=5').json({});
  }
  @Get('by-set-header')
  bySetHeader(@Res({ passthrough: true }) response: Response) {
    response.setHeader('CACHE-CONTROL', 'max-age=5');
    return {};
  }
  @Get('by-write-head')
  byWriteHead(@Res() response: Response) {
    takeOver(response).writeHead(200, { 'Cache-control': 'max-age=5' }).end();
  }
  @Get('by-write-head-pairs')
  byWriteHeadPairs(@Res() response: Response) {
    takeOver(response)
      .writeHead(200, 'OK', ['cache-Control', 'max-age=5'] as never)
      .end();
  }
  @Get('file')
  file(@Res() response: Response) {
    sendLicense(response);
  }
  @Get('expiring')
  expiring(@Res({ passthrough: true }) response: Response) {
    response.setHeader('Expires', 'Thu, 01 Jan 2099 00:00:00 GMT');
    return {};
  }
}

@Controller('guarded')
@UseGuards(SessionGuard)
class GuardedPages extends Pages {
  @Get('open')
  @Public()
  open() {
    return {};
  }
  @Get('fresh')
  @RequireFreshLogin('5m')
  fresh() {
    return {};
  }
}

@Controller('anybody')
class OpenPages extends Pages {}

@Controller('cookie')
class CookieController {
  constructor(private readonly auth: SessionAuthService) {}

  @Post('login')
  @UseGuards(LoginGuard('local'))
  @Header('Cache-Control', 'public, max-age=600')
  login(@Res({ passthrough: true }) response: Response) {
    target(response);
    return {};
  }
  @Post('broken')
  broken(@CurrentSession() session: Record<string, unknown>, @Res({ passthrough: true }) response: Response) {
    session['amount'] = 1n;
    target(response);
    return {};
  }
  @Post('logout')
  @HttpCode(204)
  async logout(
    @Req() request: Request,
    @Res({ passthrough: true }) response: Response,
    @Query() { clear, own }: { clear?: string; own?: string },
  ) {
    if (own !== undefined) response.setHeader('Clear-Site-Data', own);
    await (clear === undefined ? this.auth.logOut(request) : this.auth.logOut(request, { clearSiteData: true }));
  }
  @Post('logout-and-break')
  async logoutAndBreak(@Req() request: Request) {
    await this.auth.logOut(request, { clearSiteData: true });
    Object.assign(request.session, { amount: 1n });
  }
}

describePlatforms((platform) => {
  describe.each(storesOn(platform))('with sessions in %s', (where) => {
    let redis: RedisDeployment | undefined;
    let application: TestApplication;

    beforeAll(async () => {
      redis = await RedisDeployment.startIn(where);
      application = await TestApplication.start({
        options: { redis: redis?.options, redisTimeout: '5s' },
        controllers: [GuardedPages, OpenPages, CookieController],
      });
    });
    afterAll(async () => {
      await application.close();
      await redis?.stop();
    });

    const cached = async (path: string, browser = application.browser()) => {
      const { status, headers } = await browser.get(path);
      return [status, headers['cache-control']];
    };
    const targetedIn = (headers: object) => TARGETED.filter((name) => name.toLowerCase() in headers);

    describe('a response that sets the session cookie', () => {
      it('is stored by no cache, whatever the handler says to caches and CDNs', async () => {
        const { headers, setCookies } = await application
          .browser()
          .post('/cookie/login', { json: { username: 'ada', password: 'lovelace' } });

        expect(setCookies).toHaveLength(1);
        expect([headers['cache-control'], targetedIn(headers)]).toEqual(['no-store', []]);
      });

      it('is stored by no cache when it takes the cookie back', async () => {
        const { headers, setCookies } = await (await application.loggedIn()).post('/cookie/logout');

        expect([setCookies.length, headers['cache-control']]).toEqual([1, 'no-store']);
      });
    });

    it('what a failed response said to CDNs does not stand on the error', async () => {
      const { status, headers } = await application.browser().post('/cookie/broken');

      expect([status, targetedIn(headers)]).toEqual([500, []]);
    });

    describe('a response that a guard admitted', () => {
      it.each(['plain', 'targeted', 'stream', 'piped', 'head', 'missing', 'fresh', 'file'])(
        'is stored by no cache where the handler says nothing (%s)',
        async (page) => {
          const { headers, setCookies } = await (await application.loggedIn()).get(`/guarded/${page}`);

          expect(setCookies).toEqual([]);
          expect([headers['cache-control'], targetedIn(headers)]).toEqual(['no-store', []]);
        },
      );

      it('is stored by no cache when it is a 304, or has no body', async () => {
        const browser = await application.loggedIn();
        const { etag = '*' } = (await browser.get('/guarded/plain')).headers;
        const notModified = await browser.get('/guarded/plain', { headers: { 'if-none-match': etag } });
        const head = await browser.request('HEAD', '/guarded/plain');

        expect([notModified.status, notModified.headers['cache-control']]).toEqual([304, 'no-store']);
        expect([head.status, head.headers['cache-control']]).toEqual([200, 'no-store']);
      });

      it.each(['by-header', 'by-set', 'by-set-header', 'by-write-head', 'by-write-head-pairs'])(
        'is stored as its handler says (%s)',
        async (page) => {
          expect(await cached(`/guarded/${page}`, await application.loggedIn())).toEqual([200, 'max-age=5']);
        },
      );

      it('is stored as its date of expiry says', async () => {
        expect(await cached('/guarded/expiring', await application.loggedIn())).toEqual([200, undefined]);
      });
    });

    it('a response of an open route, or a refusal, says what its handler says', async () => {
      const browser = await application.loggedIn();

      for (const who of [browser, application.browser()]) {
        expect(await cached('/anybody/plain', who)).toEqual([200, undefined]);
        expect(await cached('/anybody/stream', who)).toEqual([200, undefined]);
        expect(await cached('/guarded/open', who)).toEqual([200, undefined]);
        expect(targetedIn((await who.get('/anybody/targeted')).headers)).toEqual(TARGETED);
      }
      expect(await cached('/guarded/plain')).toEqual([401, undefined]);
    });

    describe('a logout', () => {
      const CLEARED = '"cache", "storage"';
      const loggedOut = async (query: string, browser?: ReturnType<TestApplication['browser']>) => {
        const response = await (browser ?? (await application.loggedIn())).post(`/cookie/${query}`);
        return [response.status, response.headers['clear-site-data']];
      };

      it('makes the browser forget what it stores, but for cookies, when told to', async () => {
        expect(await loggedOut('logout?clear')).toEqual([204, CLEARED]);
        expect(await loggedOut('logout')).toEqual([204, undefined]);
      });

      it.each([
        ['"executionContexts"', `"executionContexts", ${CLEARED}`],
        ['"cache","clientHints"', '"cache", "clientHints", "storage"'],
        ['"*"', `"*", ${CLEARED}`],
      ])('adds to what the handler wants forgotten: %s', async (own, expected) => {
        expect(await loggedOut(`logout?clear&own=${encodeURIComponent(own)}`)).toEqual([204, expected]);
      });

      it('clears the browser of a session that has ended before, and not that of a stranger', async () => {
        const browser = await application.loggedIn();
        const tab = browser.fork();
        await browser.post('/cookie/logout');

        expect(await loggedOut('logout?clear', tab)).toEqual([204, CLEARED]);
        expect(await loggedOut('logout?clear', application.browser())).toEqual([204, undefined]);
      });

      if (where === 'redis') {
        it('clears nothing while the store cannot end the session', async () => {
          const browser = await application.loggedIn();
          await redis!.refuseWrites(true);

          expect(await loggedOut('logout?clear', browser)).toEqual([503, undefined]);
          await redis!.refuseWrites(false);
          expect(await loggedOut('logout?clear', browser)).toEqual([204, CLEARED]);
        });
      }

      it('clears nothing when the response fails', async () => {
        expect(await loggedOut('logout-and-break')).toEqual([500, undefined]);
      });
    });
  });
});
