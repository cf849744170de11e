import { jest } from '@jest/globals';
import { Controller, Get, HttpCode, Post, Req, UseGuards } from '@nestjs/common';
import { ApiOkResponse, DocumentBuilder, type OpenAPIObject, SwaggerModule } from '@nestjs/swagger';
import {
  RequireFreshLogin,
  SESSION_STORE,
  SessionAuthService,
  SessionConflictException,
  SessionGuard,
  type SessionRequest,
} from '../../lib/index.js';
import { addSessionAuth, ApiSession } from '../../lib/swagger/index.js';
import { actingAs } from '../../lib/testing/index.js';
import { inEnvironment, LocalStrategy, SnapshotSerializer, TestApplication } from '../support/application.js';

const ADA = { id: '1', name: 'Ada' };

class FailingSerializer extends SnapshotSerializer {
  isDown = false;

  override deserializeUser(user: typeof ADA) {
    if (this.isDown) throw new Error('The users are away.');
    return user;
  }
}

@Controller('documented')
@UseGuards(SessionGuard)
@ApiSession()
class DocumentedController {
  constructor(private readonly auth: SessionAuthService) {}

  @Get()
  read() {
    return {};
  }

  @Get('fresh')
  @RequireFreshLogin('5m')
  fresh() {
    return {};
  }

  @Get('fresh/once')
  @RequireFreshLogin('2m', { methods: ['totp'], once: true })
  once() {
    return {};
  }

  @Post('leave')
  @HttpCode(204)
  async leave(@Req() request: SessionRequest) {
    await this.auth.logOut(request);
  }
}

@Controller('bare')
class BareController {
  constructor(private readonly auth: SessionAuthService) {}

  @Post('begin')
  async begin(@Req() request: SessionRequest) {
    await this.auth.logIn(request, ADA, { method: 'password', pending: ['totp', 'webauthn'] });
    return {};
  }

  @Get('documented')
  @ApiOkResponse()
  @ApiSession()
  documented() {
    return {};
  }
}

interface Schema {
  $ref?: string;
  oneOf?: Schema[];
  type?: string;
  items?: Schema;
  enum?: unknown[];
  required?: string[];
  properties?: Record<string, Schema>;
}
type Body = Record<string, unknown>;

describe('a document of @nestjs/swagger', () => {
  let application: TestApplication;
  let document: OpenAPIObject;

  beforeAll(async () => {
    application = await TestApplication.start({
      providers: [FailingSerializer, LocalStrategy],
      controllers: [DocumentedController, BareController],
      options: { cookie: { name: 'shop' } },
    });
    const builder = new DocumentBuilder();
    expect(addSessionAuth(builder, application.app)).toBe(builder);
    document = SwaggerModule.createDocument(application.app, builder.build());
  });
  afterAll(() => application.close());

  const operation = (path: string, method: 'get' | 'post' = 'get') => document.paths[path]![method]!;

  const resolve = (schema: Schema): Schema =>
    schema.$ref === undefined
      ? schema
      : (document.components!.schemas![schema.$ref.replace('#/components/schemas/', '')] as Schema);

  /** The schemas of the bodies of a status. */
  const schemasOf = (status: number): Schema[] => {
    const response = operation('/documented').responses[String(status)] as { content: Record<string, unknown> };
    const { schema } = response.content['application/json'] as { schema: Schema };
    return (schema.oneOf ?? [schema]).map(resolve);
  };

  /** Why a body is not what a schema says: nothing may be missing, and nothing be there that it does not name. */
  const flaws = (schema: Schema, body: Body): string[] => [
    ...(schema.required ?? []).filter((key) => !(key in body)).map((key) => `${key} is missing`),
    ...Object.entries(body).flatMap(([key, value]) => {
      const property = schema.properties?.[key];
      if (property === undefined) return [`${key} is not documented`];
      const isType = property.type === (Array.isArray(value) ? 'array' : typeof value);
      const isListed = property.enum?.includes(value) !== false;
      const areItems = !Array.isArray(value) || value.every((item) => typeof item === property.items?.type);
      return isType && isListed && areItems ? [] : [`${key} is ${JSON.stringify(value)}`];
    }),
  ];

  it('has the cookie by the name that the application gives it, or by the default one', async () => {
    const nameIn = (builder: DocumentBuilder) => builder.build().components!.securitySchemes!['session'];
    const production = await inEnvironment('production', () => Promise.resolve(addSessionAuth(new DocumentBuilder())));

    expect(document.components!.securitySchemes).toEqual({
      session: { type: 'apiKey', in: 'cookie', name: 'shop', description: expect.any(String) },
    });
    expect(nameIn(addSessionAuth(new DocumentBuilder()))).toMatchObject({ name: 'sid' });
    expect(nameIn(production)).toMatchObject({ name: '__Host-Http-sid' });
  });

  it('says of the marked routes, and of no others, that they need the cookie and how they refuse', () => {
    for (const path of ['/documented', '/documented/fresh', '/bare/documented']) {
      expect(operation(path).security).toEqual([{ session: [] }]);
      expect(Object.keys(operation(path).responses)).toEqual(expect.arrayContaining(['200', '401', '403', '503']));
    }
    expect(operation('/bare/begin', 'post').security).toBeUndefined();
    expect(Object.keys(operation('/bare/begin', 'post').responses)).toEqual(['201']);
  });

  it('describes each refusal as it is, to the last property', async () => {
    const { app } = application;
    const ask = async (cookie?: string, path = '', headers: Record<string, string> = {}) => {
      const method = path === '/leave' ? 'POST' : 'GET';
      const response = await application
        .browser()
        .request(method, `/documented${path}`, { headers: { ...headers, ...(cookie && { cookie }) } });
      return response.text === '' ? {} : response.json<Body>();
    };
    const left = await actingAs(app, ADA);
    await ask(left, '/leave');
    const present = await actingAs(app, ADA);
    const begun = application.browser();
    await begun.post('/bare/begin');
    const serializer = app.get(FailingSerializer);

    const refusals: Body[] = [
      await ask(),
      await ask(left),
      (await begun.get('/documented')).json(),
      await ask(await actingAs(app, ADA, { remember: '30d' }), '/fresh'),
      await ask(present, '/fresh/once'),
      await ask(present, '/leave', { 'Sec-Fetch-Site': 'cross-site' }),
      new SessionConflictException().getResponse() as Body,
    ];
    serializer.isDown = true;
    refusals.push(await ask(present));
    jest.spyOn(app.get<{ find(): Promise<unknown> }>(SESSION_STORE), 'find').mockRejectedValue(new Error('away'));
    refusals.push(await ask(present));

    expect(refusals.map(({ code }) => code)).toEqual([
      'unauthenticated',
      'unauthenticated',
      'login_incomplete',
      'fresh_login_required',
      'fresh_login_required',
      'cross_site_request',
      'session_conflict',
      'user_lookup_failed',
      'session_store_unavailable',
    ]);
    const shown = new Map<Schema, Set<string>>();
    for (const body of refusals) {
      const candidates = schemasOf(Number(body['statusCode']));
      const schema = candidates.find(({ properties }) => properties!['code']!.enum!.includes(body['code']))!;
      expect(flaws(schema, body)).toEqual([]);
      shown.set(schema, new Set([...(shown.get(schema) ?? []), ...Object.keys(body)]));
    }
    // Nor does it name a property that never comes.
    for (const schema of [401, 403, 503].flatMap(schemasOf)) {
      expect([...(shown.get(schema) ?? [])].sort()).toEqual(Object.keys(schema.properties!).sort());
    }
  });
});
