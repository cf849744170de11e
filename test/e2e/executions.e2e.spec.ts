import { Controller, Get, Injectable, Req, UseGuards } from '@nestjs/common';
import { APP_GUARD, ExternalContextCreator } from '@nestjs/core';
import { Mutation, Query, Resolver } from '@nestjs/graphql';
import type { WsException } from '@nestjs/websockets';
import { CurrentUser, FreshLoginGuard, RequireFreshLogin, SessionGuard, type SessionRequest } from '../../lib/index.js';
import { LocalStrategy, SnapshotSerializer, type TestApplication, type User } from '../support/application.js';
import type { Browser } from '../support/browser.js';
import { sessionsIn } from '../support/devices.js';
import { graphqlModule } from '../support/graphql-driver.js';
import { describePlatforms, storesOn } from '../support/platforms.js';

/** The mark stands twice, so the guard checks each execution twice. */
@Resolver()
@RequireFreshLogin('5m', { once: true })
class PaymentResolver {
  @Query(() => String, { nullable: true })
  @RequireFreshLogin('1h')
  user(@CurrentUser() user: User) {
    return user.name;
  }

  @Mutation(() => String, { nullable: true })
  @RequireFreshLogin('5m', { once: true })
  pay() {
    return 'paid';
  }

  @Query(() => String, { nullable: true })
  @RequireFreshLogin('5m', { once: true })
  secret() {
    return 'told';
  }
}

/** Handles messages of an open connection. */
@Injectable()
@RequireFreshLogin('5m', { once: true })
class PaymentGateway {
  @RequireFreshLogin('5m', { once: true })
  pay() {
    return 'paid';
  }
}

const handshakes: SessionRequest[] = [];

@Controller('handshake')
class HandshakeController {
  @Get()
  @UseGuards(SessionGuard)
  open(@Req() request: SessionRequest) {
    handshakes.push(request);
    return {};
  }
}

describePlatforms((platform) => {
  describe.each(storesOn(platform))('a proof that is good once, with sessions in %s', (where) => {
    const home = sessionsIn(where);
    let application: TestApplication;
    let browser: Browser;

    beforeEach(async () => {
      application = await home.start({
        controllers: [HandshakeController],
        imports: [graphqlModule()],
        // A third time for each execution, by another instance of the guard.
        providers: [
          SnapshotSerializer,
          LocalStrategy,
          PaymentResolver,
          PaymentGateway,
          { provide: APP_GUARD, useClass: FreshLoginGuard },
        ],
      });
      browser = application.browser();
      await browser.post('/proof/none', { json: { user: { id: '1', name: 'Ada' } } });
    });

    const stepUp = () => browser.post('/proof/step-up');
    const operate = async (query: string) =>
      (await browser.post('/graphql', { json: { query } })).json<{
        data: Record<string, string | null>;
        errors?: { path: string[]; message: string }[];
      }>();

    it('is good for one of several aliases of a GraphQL field', async () => {
      const { data, errors } = await operate('{ a: secret, b: secret, c: secret, user }');

      expect(Object.values(data).sort()).toEqual(['Ada', null, null, 'told']);
      expect(errors).toHaveLength(2);
      expect((await operate('{ secret }')).data).toEqual({ secret: null });
      await stepUp();
      expect((await operate('{ secret }')).data).toEqual({ secret: 'told' });
    });

    it('is good for the first of several mutations of one operation', async () => {
      const { data, errors } = await operate('mutation { a: pay, b: pay, c: pay }');

      expect(data).toEqual({ a: 'paid', b: null, c: null });
      expect(errors).toMatchObject([{ path: ['b'] }, { path: ['c'] }]);
      await stepUp();
      expect((await operate('mutation { d: pay }')).data).toEqual({ d: 'paid' });
    });

    it('is good for one message of a connection', async () => {
      await browser.get('/handshake');
      const client = { id: 'client', request: handshakes.at(-1) };
      const gateway = application.app.get(PaymentGateway);
      const pay = Reflect.get<PaymentGateway, 'pay'>(gateway, 'pay');
      // What Nest makes of a gateway's handler: guards, then the method.
      const creator = application.app.get(ExternalContextCreator);
      const onPay: (client: object, message: object) => Promise<unknown> = creator.create(
        gateway,
        pay,
        'pay',
        undefined,
        undefined,
        undefined,
        undefined,
        { guards: true, interceptors: false, filters: false },
        'ws',
      );
      const send = () => onPay(client, {}).catch((error: unknown) => (error as WsException).getError());
      const STALE = expect.objectContaining({ code: 'fresh_login_required', once: true });

      expect([await send(), await send(), await send()]).toEqual(['paid', STALE, STALE]);
    });
  });
});
