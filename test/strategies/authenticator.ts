import { createHash, generateKeyPairSync, randomBytes, sign } from 'node:crypto';

type Cbor = number | string | Buffer | Map<Cbor, Cbor>;

/** A security key in software: ES256, attestation `none` (WebAuthn level 2, sections 6.1 and 6.5). */
export class Authenticator {
  readonly #keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  readonly #id = randomBytes(16);

  /** @param origin the page that asks, such as `http://127.0.0.1:3000` */
  constructor(private readonly origin: string) {}

  /** What `navigator.credentials.create()` gives, as JSON. */
  create(challenge: string) {
    const { x = '', y = '' } = this.#keys.publicKey.export({ format: 'jwk' });
    const publicKey = new Map<Cbor, Cbor>([
      [1, 2], // an elliptic curve key
      [3, -7], // ES256
      [-1, 1], // P-256
      [-2, Buffer.from(x, 'base64url')],
      [-3, Buffer.from(y, 'base64url')],
    ]);
    const credential = Buffer.concat([Buffer.alloc(16), Buffer.of(0, this.#id.length), this.#id, cbor(publicKey)]);
    const attestation = new Map<Cbor, Cbor>([
      ['fmt', 'none'],
      ['attStmt', new Map()],
      ['authData', Buffer.concat([this.#data(0x41), credential])],
    ]);
    const response = { attestationObject: cbor(attestation).toString('base64url') };
    return this.#answer('webauthn.create', challenge, () => response);
  }

  /** What `navigator.credentials.get()` gives, as JSON. */
  get(challenge: string, userId: string) {
    const data = this.#data(0x01);
    return this.#answer('webauthn.get', challenge, (client) => ({
      authenticatorData: data.toString('base64url'),
      signature: sign('sha256', Buffer.concat([data, hash(client)]), this.#keys.privateKey).toString('base64url'),
      userHandle: Buffer.from(userId).toString('base64url'),
    }));
  }

  #answer(type: string, challenge: string, respond: (client: string) => Record<string, string>) {
    const client = JSON.stringify({ type, challenge, origin: this.origin });
    const response = { clientDataJSON: Buffer.from(client).toString('base64url'), ...respond(client) };
    return { id: this.#id.toString('base64url'), type: 'public-key', response };
  }

  /** For whom, how (0x01: the user was there; 0x40: a credential follows), and a counter that stays 0. */
  #data(flags: number): Buffer {
    return Buffer.concat([hash(new URL(this.origin).hostname), Buffer.of(flags, 0, 0, 0, 0)]);
  }
}

function hash(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

/** As much of CBOR (RFC 8949) as an attestation needs. */
function cbor(value: Cbor): Buffer {
  if (typeof value === 'number') return value < 0 ? cborHead(1, -1 - value) : cborHead(0, value);
  if (typeof value === 'string') return Buffer.concat([cborHead(3, value.length), Buffer.from(value)]);
  if (Buffer.isBuffer(value)) return Buffer.concat([cborHead(2, value.length), value]);
  return Buffer.concat([cborHead(5, value.size), ...[...value].flat().map(cbor)]);
}

function cborHead(type: number, count: number): Buffer {
  const high = type << 5;
  if (count < 24) return Buffer.of(high | count);
  return count < 0x100 ? Buffer.of(high | 24, count) : Buffer.of(high | 25, count >> 8, count & 0xff);
}
