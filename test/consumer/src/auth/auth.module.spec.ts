import type { ExecutionContext, INestApplication } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { WsException } from '@nestjs/websockets';
import { SessionGuard } from 'nestjs-session-auth';
import request from 'supertest';
import type { App } from 'supertest/types.js';
import { AuthController } from './auth.controller';
import { AuthModule } from './auth.module';
import { ADA } from './user';

describe('AuthModule', () => {
  let app: INestApplication<App>;

  beforeEach(async () => {
    const testingModule = await Test.createTestingModule({ imports: [AuthModule] }).compile();
    app = testingModule.createNestApplication();
    await app.init();
  }, 60_000);

  afterEach(() => app.close());

  it('logs in', async () => {
    const browser = request.agent(app.getHttpServer());
    await browser.get('/me').expect(401);
    await browser.post('/login').send({ username: 'ada', password: 'lovelace' }).expect(200, ADA);
    await browser.get('/me').expect(200, ADA);
  });

  it('refuses a WebSocket client by the WsException of the application', async () => {
    const context = {
      getType: () => 'ws',
      getClass: () => AuthController,
      getHandler: () => AuthController.prototype.me,
      switchToWs: () => ({ getClient: () => ({ request: {} }) }),
    } as unknown as ExecutionContext;

    await expect(app.get(SessionGuard).canActivate(context)).rejects.toBeInstanceOf(WsException);
  });
});
