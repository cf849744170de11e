import type { Server } from 'node:net';
import { Controller, Get, Injectable, UseGuards } from '@nestjs/common';
import { APP_GUARD } from '@nestjs/core';
import {
  type ClientProxy,
  ClientProxyFactory,
  MessagePattern,
  type MicroserviceOptions,
  Payload,
  Transport,
} from '@nestjs/microservices';
import { lastValueFrom } from 'rxjs';
import {
  CurrentSession,
  CurrentUser,
  FreshLoginGuard,
  LoginGuard,
  PassiveRoute,
  Public,
  RequireFreshLogin,
  SessionGuard,
} from '../../lib/index.js';
import { LocalStrategy, SnapshotSerializer, TestApplication } from '../support/application.js';
import { LogRecorder } from '../support/log-recorder.js';
import { describePlatforms } from '../support/platforms.js';

@Injectable()
class OwnGuard extends SessionGuard {}

/** Serves messages, and one page. */
@Controller()
@PassiveRoute()
class MessagesController {
  @MessagePattern('guarded')
  guarded() {
    return 'passed';
  }
  @Public()
  @MessagePattern('open')
  open(@Payload() payload: unknown) {
    return { payload };
  }
  @Public()
  @MessagePattern('user')
  user(@CurrentUser() user: unknown) {
    return { user };
  }
  @Public()
  @MessagePattern('name')
  name(@CurrentUser('name') name: unknown) {
    return { name };
  }
  @Public()
  @MessagePattern('session')
  session(@CurrentSession() session: unknown) {
    return { session };
  }
  @MessagePattern('fresh')
  @RequireFreshLogin('5m')
  fresh() {
    return 'passed';
  }
  @Public()
  @MessagePattern('login')
  @UseGuards(LoginGuard('local'))
  login() {
    return 'passed';
  }
  @Public()
  @MessagePattern('stateless-login')
  @UseGuards(LoginGuard('local', { session: false }))
  statelessLogin(@Payload() payload: unknown) {
    return payload;
  }
  @MessagePattern('own')
  @UseGuards(OwnGuard)
  own() {
    return 'passed';
  }
  @Get('page')
  page() {
    return {};
  }
}

describePlatforms(() => {
  describe('messages of a microservice', () => {
    const log = new LogRecorder();
    let application: TestApplication;
    let client: ClientProxy;

    beforeAll(async () => {
      application = await TestApplication.start({
        logger: log,
        controllers: [MessagesController],
        providers: [
          SnapshotSerializer,
          LocalStrategy,
          FreshLoginGuard,
          OwnGuard,
          { provide: APP_GUARD, useClass: SessionGuard },
        ],
      });
      const service = application.app.connectMicroservice<MicroserviceOptions>(
        { transport: Transport.TCP, options: { host: '127.0.0.1', port: 0 } },
        { inheritAppConfig: true },
      );
      await application.app.startAllMicroservices();
      const { port } = service.unwrap<Server>().address() as { port: number };
      client = ClientProxyFactory.create({ transport: Transport.TCP, options: { host: '127.0.0.1', port } });
    });
    afterAll(async () => {
      await client.close();
      await application.close();
    });

    /** All that a sender may try. */
    const PAYLOAD = {
      user: { id: '1', name: 'Ada' },
      session: { passport: { user: { id: '1', name: 'Ada' } } },
      req: { user: { id: '1', name: 'Ada' } },
      body: { username: 'ada', password: 'lovelace' },
      headers: {},
    };
    const send = (pattern: string): Promise<unknown> =>
      lastValueFrom(client.send<unknown>(pattern, PAYLOAD)).catch((error: unknown) => ({ error }));
    const REFUSED = {
      error: { statusCode: 500, code: 'session_unavailable', message: expect.stringContaining('no session') },
    };

    it.each(['guarded', 'fresh', 'own'])('are refused by a guard of sessions (%s)', async (pattern) => {
      expect(await send(pattern)).toEqual(REFUSED);
    });

    it.each(['user', 'name', 'session'])('never say who the current user is (%s)', async (pattern) => {
      expect(await send(pattern)).toEqual(REFUSED);
    });

    it.each(['login', 'stateless-login'])('log nobody in (%s)', async (pattern) => {
      expect(await send(pattern)).toEqual(REFUSED);
    });

    it('reach a public handler', async () => {
      expect(await send('open')).toEqual({ payload: PAYLOAD });
    });

    it('that are refused by a guard are logged, once for each handler', async () => {
      await send('guarded');
      await send('guarded');
      const lines = log.at('error').filter((line) => line.includes('MessagesController.guarded'));

      expect(lines).toEqual([expect.stringContaining('Messages of a microservice never have a session.')]);
    });

    it('leave the pages of their controller as they are', async () => {
      expect((await application.browser().get('/page')).json()).toMatchObject({ code: 'unauthenticated' });
    });
  });
});
