import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { TestApplication, type TestApplicationOptions } from '../support/application.js';
import { localhostCertificates } from '../support/certificate.js';
import { LogRecorder } from '../support/log-recorder.js';

const WARNING = /^The session cookie is Secure, but this server speaks plain HTTP and trusts no proxy/;

const { cert, key } = localhostCertificates();

function expressTrusting(trusted: unknown) {
  const adapter = new ExpressAdapter();
  adapter.set('trust proxy', trusted);
  return adapter;
}

async function warningsOf(options: TestApplicationOptions): Promise<string[]> {
  const logger = new LogRecorder();
  const application = await TestApplication.start({ logger, options: { cookie: { secure: true } }, ...options });
  await application.close();
  return logger.at('warn').filter((line) => WARNING.test(line));
}

describe('a Secure cookie is warned of when the application starts', () => {
  it.each([
    ['Express', () => new ExpressAdapter()],
    ['Express that trusts nobody', () => expressTrusting(false)],
    ['Fastify', () => new FastifyAdapter()],
    // Its type allows no number any more; applications in JavaScript, and settings that are cast, still have one.
    ['Fastify with a number of proxies (CVE-2026-16732)', () => new FastifyAdapter({ trustProxy: 1 as never })],
  ])('without TLS in sight, once: %s', async (_, adapter) => {
    expect(await warningsOf({ adapter: adapter() })).toHaveLength(1);
  });

  it.each([
    ['Express behind a proxy', () => expressTrusting(1)],
    ['Fastify behind a proxy', () => new FastifyAdapter({ trustProxy: '10.0.0.0/8' })],
    ['Fastify with TLS of its own', () => new FastifyAdapter({ https: { cert, key } })],
  ])('and not where a connection can be secure: %s', async (_, adapter) => {
    expect(await warningsOf({ adapter: adapter() })).toEqual([]);
  });

  it('and not where the cookie is Secure by the connection', async () => {
    expect(await warningsOf({ adapter: new ExpressAdapter(), options: {} })).toEqual([]);
  });
});
