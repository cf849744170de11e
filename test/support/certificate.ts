import { generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';

/** What a TLS server is given, and what its clients trust; PEM, all of them. */
export interface Certificates {
  ca: string;
  cert: string;
  key: string;
}

/** Made by a certificate authority of its own that nobody else trusts: for `localhost` and 127.0.0.1, for a day. */
export function localhostCertificates(): Certificates {
  const authority = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const server = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const issuer = { name: 'Test CA', key: authority.privateKey };
  return {
    ca: certificate(issuer, { name: 'Test CA', key: authority.publicKey, extensions: [IS_AUTHORITY] }),
    cert: certificate(issuer, { name: 'localhost', key: server.publicKey, extensions: [FOR_LOCALHOST] }),
    key: server.privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
  };
}

/** An X.509 certificate (RFC 5280, section 4.1), which Node's `crypto` reads and does not write. */
function certificate(
  issuer: { name: string; key: KeyObject },
  subject: { name: string; key: KeyObject; extensions: Buffer[] },
): string {
  const algorithm = sequence(oid('2a8648ce3d040302')); // ecdsa-with-SHA256
  const hour = 3_600_000;
  const content = sequence(
    der(0xa0, der(0x02, Buffer.of(2))), // version 3
    der(0x02, Buffer.concat([Buffer.of(1), randomBytes(8)])), // serial number
    algorithm,
    commonName(issuer.name),
    sequence(utcTime(Date.now() - hour), utcTime(Date.now() + 24 * hour)),
    commonName(subject.name),
    subject.key.export({ type: 'spki', format: 'der' }),
    der(0xa3, sequence(...subject.extensions)),
  );
  const whole = sequence(content, algorithm, der(0x03, Buffer.of(0), sign('sha256', content, issuer.key)));
  return `-----BEGIN CERTIFICATE-----\n${whole.toString('base64').replace(/.{1,64}/g, '$&\n')}-----END CERTIFICATE-----\n`;
}

/** One value in ASN.1's distinguished encoding: its tag, its length, its content. */
function der(tag: number, ...parts: Buffer[]): Buffer {
  const content = Buffer.concat(parts);
  const { length } = content;
  const head = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.of(tag, ...head), content]);
}

function sequence(...parts: Buffer[]): Buffer {
  return der(0x30, ...parts);
}

function oid(hex: string): Buffer {
  return der(0x06, Buffer.from(hex, 'hex'));
}

function commonName(name: string): Buffer {
  return sequence(der(0x31, sequence(oid('550403'), der(0x0c, Buffer.from(name)))));
}

/** `261231235959Z` */
function utcTime(at: number): Buffer {
  const digits = new Date(at).toISOString().replace(/\D/g, '').slice(2, 14);
  return der(0x17, Buffer.from(`${digits}Z`));
}

/** basicConstraints: this key may sign certificates. */
const IS_AUTHORITY = sequence(
  oid('551d13'),
  der(0x01, Buffer.of(0xff)), // critical
  der(0x04, sequence(der(0x01, Buffer.of(0xff)))),
);

/** subjectAltName: the names that a client may have asked for. */
const FOR_LOCALHOST = sequence(
  oid('551d11'),
  der(0x04, sequence(der(0x82, Buffer.from('localhost')), der(0x87, Buffer.of(127, 0, 0, 1)))),
);
