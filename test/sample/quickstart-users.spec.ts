import { jest } from '@jest/globals';
import { closeAll, closers, temporaryDatabase } from './quickstart-sample.js';

const argon2 = await import('@node-rs/argon2');
const verify = jest.fn(argon2.verify);
jest.unstable_mockModule('@node-rs/argon2', () => ({ ...argon2, verify }));

describe('The users of the quickstart sample', () => {
  afterEach(closeAll);

  it('cost one password verification each, known or not: the time of a login does not tell who has an account', async () => {
    process.env['DATABASE_FILE'] = temporaryDatabase();
    const { UsersService } = await import('../../sample/01-quickstart/src/users.service.js');
    const users = new UsersService();
    await users.onModuleInit();
    closers.push(() => users.onModuleDestroy());

    expect(await users.findByPassword('ada', 'wrong')).toBeNull();
    expect(await users.findByPassword('nobody', 'wrong')).toBeNull();

    // Equally expensive: the parameters stand before the salt.
    const parameters = verify.mock.calls.map(([hash]) => String(hash).split('$').slice(0, -2));
    expect(parameters).toHaveLength(2);
    expect(parameters[0]).toEqual(parameters[1]);
    expect(parameters[0]).toContain('argon2id');
  });
});
