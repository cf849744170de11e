import { Readable } from 'node:stream';
import { gunzipSync } from 'node:zlib';
import { buffer } from 'node:stream/consumers';
import { Controller, Get, type INestApplication, Res, StreamableFile } from '@nestjs/common';
import compression from 'compression';
import type { Response } from 'express';
import { describePlatforms, takeOver } from '../support/platforms.js';
import { CurrentSession, SessionMiddleware } from '../../lib/index.js';
import { TestApplication } from '../support/application.js';

/** Chunks small enough for the compressor to take one and ask for no pause: it will then never say that a pause is over. */
const CHUNKS = 500;
const CHUNK = 'x'.repeat(1024);

const lines = (): Readable =>
  Readable.from(
    Array.from({ length: CHUNKS }, () => CHUNK),
    { objectMode: false },
  );

@Controller()
class StreamController {
  @Get('piped')
  piped(@CurrentSession() session: Record<string, unknown>, @Res() response: Response): void {
    session['seen'] = true;
    lines().pipe(takeOver(response).setHeader('Content-Type', 'text/plain'));
  }

  @Get('file')
  file(@CurrentSession() session: Record<string, unknown>): StreamableFile {
    session['seen'] = true;
    return new StreamableFile(lines(), { type: 'text/plain' });
  }
}

describePlatforms(() => {
  describe.each<[string, (app: INestApplication) => void]>([
    ['', () => undefined],
    [', and the session behind it', (app) => app.use(app.get(SessionMiddleware).use)],
  ])('behind compression, as main.ts mounts it%s', (_, mountNext) => {
    let application: TestApplication;

    beforeAll(async () => {
      application = await TestApplication.start({
        controllers: [StreamController],
        configure: (app) => {
          app.use(compression());
          mountNext(app);
        },
      });
    });

    afterAll(() => application.close());

    it.each(['/piped', '/file'])(
      'a stream that waits for its session to be saved arrives whole: GET %s',
      async (path) => {
        const browser = application.browser();
        const { body, headers } = await browser.open('GET', path, { headers: { 'accept-encoding': 'gzip' } });

        expect(headers['content-encoding']).toBe('gzip');
        expect(gunzipSync(await buffer(body)).length).toBe(CHUNKS * CHUNK.length);
        expect((await browser.get('/session')).json()).toEqual({ seen: true });
      },
    );

    it('a short response is compressed and its cookie sent', async () => {
      const browser = await application.loggedIn();

      expect((await browser.get('/me')).json()).toEqual({ id: '1', name: 'Ada' });
    });
  });
});
