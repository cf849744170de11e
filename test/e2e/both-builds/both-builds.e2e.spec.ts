import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describePlatforms } from '../../support/platforms.js';

describePlatforms((platform) => {
  it('a guard of the CommonJS build logs in to the module of the ES module build, and is the same in both', async () => {
    const program = join(import.meta.dirname, 'child.mjs');
    const { stdout } = await promisify(execFile)(process.execPath, [program, platform]);

    expect(JSON.parse(stdout)).toEqual({ bothLoaded: true, sameGuard: true, status: 201, cookies: 1 });
  });
});
