import { Controller, HttpCode, Injectable, Param, Post, Req } from '@nestjs/common';
import {
  SessionAuthService,
  type SessionInfo,
  SessionRegistry,
  type SessionRequest,
  type UserOrId,
  UserSerializer,
} from '../../lib/index.js';
import { LocalStrategy, type TestApplication } from '../support/application.js';
import { sessionsIn } from '../support/devices.js';
import { describePlatforms } from '../support/platforms.js';

/** MongoDB's id, as far as anybody here asks. Its `id` holds bytes, as theirs does. */
class ObjectId {
  readonly id: Buffer;
  constructor(hex: string) {
    this.id = Buffer.from(hex, 'hex');
  }
  toHexString(): string {
    return this.id.toString('hex');
  }
}

const HEX = '507f1f77bcf86cd799439011';

const IDS: Record<string, { id: unknown; text: string }> = {
  text: { id: 'ada', text: 'ada' },
  digits: { id: '7', text: '7' },
  zero: { id: 0, text: '0' },
  number: { id: 7, text: '7' },
  negative: { id: -7, text: '-7' },
  fraction: { id: 0.5, text: '0.5' },
  largest: { id: Number.MAX_SAFE_INTEGER, text: '9007199254740991' },
  bigint: { id: 9007199254740993n, text: '9007199254740993' },
  objectId: { id: new ObjectId(HEX), text: HEX },
  uuid: { id: 'urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6', text: 'urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6' },
  pairs: { id: '🦊', text: '🦊' },
  bracketed: { id: '[object Object]', text: '[object Object]' },
};

const NONE: Record<string, unknown> = {
  undefined: undefined,
  null: null,
  empty: '',
  true: true,
  NaN: NaN,
  infinite: Infinity,
  unsafe: 2 ** 53,
  symbol: Symbol('7'),
  function: () => '7',
  array: ['7'],
  object: { id: '7' },
  map: new Map([['id', '7']]),
  date: new Date(7),
  buffer: Buffer.from('7'),
  boxed: new String('7'),
  // Encoded as UTF-8, both are the same bytes.
  'half a pair': '\uD83E',
  'another half': '\uDD8A',
  'own text': { toString: () => '7' },
  'hex that is no function': { toHexString: '7' },
  'hex that is no text': { toHexString: () => 7 },
  'empty hex': { toHexString: () => '' },
};

const USERS: Record<string, { id: unknown }> = {
  ...IDS,
  ...Object.fromEntries(Object.entries(NONE).map(([name, id]) => [name, { id }])),
};

@Injectable()
class NameSerializer extends UserSerializer<{ id: unknown }, string> {
  serializeUser(user: { id: unknown }): string {
    return Object.entries(USERS).find(([, one]) => one === user)?.[0] ?? '';
  }
  deserializeUser(name: string) {
    return USERS[name];
  }
}

@Controller('log-in')
class LogInController {
  constructor(private readonly sessionAuth: SessionAuthService) {}

  @Post(':name')
  @HttpCode(200)
  async logIn(@Req() request: SessionRequest, @Param('name') name: string) {
    await this.sessionAuth.logIn(request, USERS[name]);
    return this.sessionAuth.current(request);
  }
}

describePlatforms((platform) => {
  /** What is an id has nothing to do with Fastify: there, one that is none stands for all. */
  const none = Object.entries(NONE).slice(0, platform === 'express' ? undefined : 1);

  describe('the id of a user', () => {
    const home = sessionsIn('redis');
    let application: TestApplication;
    let registry: SessionRegistry;

    beforeEach(async () => {
      application = await home.start({ providers: [NameSerializer, LocalStrategy], controllers: [LogInController] });
      registry = application.app.get(SessionRegistry);
    });

    it.each(Object.entries(IDS))('may be what its type says (%s), and finds its sessions', async (name, user) => {
      const browser = application.browser();
      const { userId, handle } = (await browser.post(`/log-in/${name}`)).json<SessionInfo>();

      expect(userId).toBe(user.text);
      expect((await browser.get('/current')).status).toBe(200);
      for (const by of [user, user.id as UserOrId, user.text]) {
        expect((await registry.list(by)).map((info) => [info.userId, info.handle])).toEqual([[user.text, handle]]);
      }
      expect(await registry.revoke(user.id as UserOrId, handle)).toBe(true);
      expect((await browser.get('/current')).status).toBe(401);
    });

    it('is the same as a number and as its text, and else another for each text', async () => {
      for (const name of Object.keys(IDS)) await application.browser().post(`/log-in/${name}`);

      expect(await registry.count('7')).toBe(2);
      for (const { text } of Object.values(IDS)) expect(await registry.count(text)).toBe(text === '7' ? 2 : 1);
    });

    it.each(none)('is nothing that another user may have as well: %s fails the login', async (name) => {
      const browser = application.browser();
      const response = await browser.post(`/log-in/${name}`);

      expect(response.json()).toMatchObject({ statusCode: 500, code: 'user_not_serializable' });
      expect([browser.cookies.size, await home.keys()]).toEqual([0, []]);
    });

    it.each(none)('is not %s for the registry either', async (_, id) => {
      await application.browser().post('/log-in/digits');

      await expect(registry.list({ id })).rejects.toThrow(TypeError);
      // What has an id that is one is a user.
      if (id !== NONE['object']) await expect(registry.revokeAll(id as UserOrId)).rejects.toThrow(TypeError);
      expect(await registry.count('7')).toBe(1);
    });
  });
});
