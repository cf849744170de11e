import type { INestApplication } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { actingAs } from 'nestjs-session-auth/testing';
import request from 'supertest';
import type { App } from 'supertest/types.js';
import { AppModule } from './../src/app.module';
import { ADA } from './../src/auth/user';

describe('login (e2e)', () => {
  let app: INestApplication<App>;

  beforeEach(async () => {
    const moduleFixture = await Test.createTestingModule({ imports: [AppModule] }).compile();
    app = moduleFixture.createNestApplication();
    await app.init();
  }, 60_000);

  afterEach(() => app.close());

  it('goes in and out', async () => {
    const browser = request.agent(app.getHttpServer());
    await browser.get('/me').expect(401);
    await browser.post('/login').send({ username: 'ada', password: 'wrong' }).expect(401);
    await browser.post('/login').send({ username: 'ada', password: 'lovelace' }).expect(200, ADA);
    await browser.get('/me').expect(200, ADA);
    await browser.post('/logout').expect(204);
    await browser.get('/me').expect(401);
  });

  it('is not needed by a test that acts as the user', async () => {
    const cookie = await actingAs(app, ADA);
    await request(app.getHttpServer()).get('/me').set('Cookie', cookie).expect(200, ADA);
  });

  it('is healthy', async () => {
    const { body } = await request(app.getHttpServer()).get('/health').expect(200);
    expect(body.details.sessions).toMatchObject({ status: 'up', store: 'up' });
  });
});
