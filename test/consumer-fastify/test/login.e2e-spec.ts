import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { Test } from '@nestjs/testing';
import { AppModule } from './../src/app.module';
import { ADA } from './../src/auth/user';

describe('login on Fastify (e2e)', () => {
  let app: NestFastifyApplication;

  beforeEach(async () => {
    const moduleFixture = await Test.createTestingModule({ imports: [AppModule] }).compile();
    app = moduleFixture.createNestApplication<NestFastifyApplication>(new FastifyAdapter());
    await app.init();
  }, 60_000);

  afterEach(() => app.close());

  it('goes in and out by inject()', async () => {
    const logIn = (password: string) =>
      app.inject({ method: 'POST', url: '/login', payload: { username: 'ada', password } });
    expect((await app.inject('/me')).statusCode).toBe(401);
    expect((await logIn('wrong')).statusCode).toBe(401);

    const login = await logIn('lovelace');
    const headers = { cookie: String(login.headers['set-cookie']).split(';')[0] };
    const me = await app.inject({ url: '/me', headers });
    expect([login.json(), me.json()]).toEqual([ADA, ADA]);

    expect((await app.inject({ method: 'POST', url: '/logout', headers })).statusCode).toBe(204);
    expect((await app.inject({ url: '/me', headers })).statusCode).toBe(401);
  });
});
