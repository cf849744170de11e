import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { RedisServer } from '../../support/redis-server.js';

const ROOT = join(import.meta.dirname, '../../..');

describe('where ioredis is installed and redis is not', () => {
  let server: RedisServer;
  let directory: string;

  beforeAll(async () => {
    server = await RedisServer.start();
    directory = mkdtempSync(join(tmpdir(), 'ioredis-alone-'));
    const packages = join(directory, 'node_modules');
    const library = join(packages, 'nestjs-session-auth');
    mkdirSync(library, { recursive: true });
    for (const name of ['package.json', 'dist']) cpSync(join(ROOT, name), join(library, name), { recursive: true });
    for (const name of readdirSync(join(ROOT, 'node_modules'))) {
      if (!['redis', '@redis', '.bin'].includes(name))
        symlinkSync(join(ROOT, 'node_modules', name), join(packages, name));
    }
    cpSync(join(import.meta.dirname, 'child.mjs'), join(directory, 'child.mjs'));
  });
  afterAll(async () => {
    rmSync(directory, { recursive: true, force: true });
    await server.stop();
  });

  it.each(['import', 'require'])(
    'a client of it works, and the boot with a url names the package (%s)',
    async (form) => {
      const { stdout } = await promisify(execFile)(process.execPath, [join(directory, 'child.mjs'), form, server.url]);

      expect(JSON.parse(stdout)).toEqual({
        refused: { option: 'redis', message: expect.stringContaining('the package "redis" is not installed') },
        sessions: 0,
      });
    },
  );
});
