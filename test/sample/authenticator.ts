import jsqr from 'jsqr';
import { type TOTP, URI } from 'otpauth';
import { PNG } from 'pngjs';
import { eventually } from '../support/eventually.js';

const PERIOD = 30_000;

/** An authenticator app that has scanned a QR code. */
export class Authenticator {
  #lastStep = 0;

  private constructor(
    readonly link: string,
    private readonly totp: TOTP,
  ) {}

  /** @param picture a data URL of a PNG */
  static scan(picture: string): Authenticator {
    const { data, width, height } = PNG.sync.read(Buffer.from(picture.split(',')[1] ?? '', 'base64'));
    const link = jsqr.default(new Uint8ClampedArray(data), width, height)?.data ?? 'none was found';
    return new Authenticator(link, URI.parse(link) as TOTP);
  }

  get secret(): string {
    return this.totp.secret.base32;
  }

  /** A code that was not shown before. Three in a row are good at once, since servers take the neighbours, too. */
  async code(): Promise<string> {
    if (this.#lastStep === 0) {
      await eventually('a time step with some time left', () => PERIOD - (Date.now() % PERIOD) > 6_000, {
        timeout: 10_000,
      });
    }
    this.#lastStep = Math.max(this.#lastStep + 1, Math.floor(Date.now() / PERIOD) - 1);
    return this.totp.generate({ timestamp: this.#lastStep * PERIOD });
  }

  /** A code of no time that is near. */
  wrongCode(): string {
    const near = [-2, -1, 0, 1, 2].map((step) => this.totp.generate({ timestamp: Date.now() + step * PERIOD }));
    return ['000000', '111111', '222222', '333333', '444444', '555555'].find((code) => !near.includes(code)) ?? '';
  }
}
