import { spawnSync } from 'node:child_process';
import { redisServerBinary } from '../../scripts/redis-server-binary.mjs';
import { localhostCertificates } from './certificate.js';
import { freePort } from '../../scripts/free-port.mjs';
import { RedisServer } from './redis-server.js';

/** A redis-server that speaks TLS on a port of its own, with a certificate of a private authority. */
export class RedisTls {
  private constructor(
    /** The same server without TLS: for assertions. */
    readonly server: RedisServer,
    private readonly port: number,
    private readonly ca: string,
  ) {}

  static async start({ binary }: { binary?: string } = {}): Promise<RedisTls> {
    const { ca, cert, key } = localhostCertificates();
    let port = 0;
    const args = async () => {
      port = await freePort();
      const files = ['--tls-cert-file', 'cert.pem', '--tls-key-file', 'key.pem'];
      return ['--tls-port', `${port}`, ...files, '--tls-auth-clients', 'no'];
    };
    const server = await RedisServer.start({ binary, args, files: { 'cert.pem': cert, 'key.pem': key } });
    return new RedisTls(server, port, ca);
  }

  /** Why there can be none: many builds of Redis are without TLS. `undefined` when there can. */
  static missing(binary = redisServerBinary()): string | undefined {
    if (binary === undefined) return 'there is no redis-server';
    // With TLS it knows these options, and ends at once because it listens nowhere.
    const { stdout } = spawnSync(binary, ['--port', '0', '--tls-port', '0'], { encoding: 'utf8', timeout: 10_000 });
    return stdout.includes('not listen anywhere') ? undefined : `${binary} was built without TLS`;
  }

  /** For `createClient()`. */
  get options(): { url: string; socket: { tls: true; ca: string } } {
    return { url: `rediss://127.0.0.1:${this.port}`, socket: { tls: true, ca: this.ca } };
  }

  stop(): Promise<void> {
    return this.server.stop();
  }
}
