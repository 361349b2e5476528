import { generateKeyPairSync, sign } from 'node:crypto';

const OID_ED25519 = [0x06, 0x03, 0x2b, 0x65, 0x70];
const OID_COMMON_NAME = [0x06, 0x03, 0x55, 0x04, 0x03];

/** One DER element. */
function der(tag: number, ...parts: readonly (readonly number[] | Uint8Array)[]): Uint8Array {
  const content = Buffer.concat(parts.map((part) => Uint8Array.from(part)));
  const length = content.length < 128 ? [content.length] : [0x82, content.length >> 8, content.length & 0xff];
  return Buffer.concat([Uint8Array.from([tag, ...length]), content]);
}

/** A certificate for a baseline TLS server that nobody has to trust: RFC 5280, Ed25519 (RFC 8410). */
export function createSelfSigned(): { readonly key: string; readonly cert: string } {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const algorithm = der(0x30, OID_ED25519);
  const attribute = der(0x30, OID_COMMON_NAME, der(0x0c, Buffer.from('bench')));
  const name = der(0x30, der(0x31, attribute));
  const validity = der(0x30, der(0x17, Buffer.from('200101000000Z')), der(0x17, Buffer.from('491231235959Z')));
  const version = der(0xa0, der(0x02, [2]));
  const subjectKey = publicKey.export({ type: 'spki', format: 'der' });
  const body = der(0x30, version, der(0x02, [1]), algorithm, name, validity, name, subjectKey);
  const certificate = der(0x30, body, algorithm, der(0x03, [0], sign(null, body, privateKey)));
  const base64 = Buffer.from(certificate)
    .toString('base64')
    .replace(/(.{64})/g, '$1\n');
  return {
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
    cert: `-----BEGIN CERTIFICATE-----\n${base64}\n-----END CERTIFICATE-----\n`,
  };
}
