import { createHash, createPrivateKey, createPublicKey, type KeyObject, sign } from 'node:crypto';
import { open } from 'node:fs/promises';
import { z } from 'zod';
import { describeError } from '../../../lib/errors.ts';
import type { Random } from '../../../lib/random.ts';
import { TeeError } from '../../errors.ts';
import { hexBytes } from '../../policy-fields.ts';
import { SIMULATED_MEASUREMENT_BYTES } from '../../simulated/report.ts';

const TYPE = 'fogproof/simulated-tee-key@1';
const WARNING = 'SIMULATED, no hardware: for tests. Whoever has this file can make the evidence of this network.';
const MAX_FILE_BYTES = 4 * 1024;
const READABLE_BY_OTHERS = 0o077;
const SEED_BYTES = 32;
/** Before the seed (RFC 8410, section 7). */
const PKCS8_PREFIX = Buffer.from('302e020100300506032b657004220420', 'hex');

const keyFileSchema = z.strictObject({
  type: z.literal(TYPE),
  warning: z.string().max(1024),
  /** Ed25519. */
  seed: hexBytes(SEED_BYTES),
  /** What reports say that runs: made up, and the same for everyone who has the file. */
  measurement: hexBytes(SIMULATED_MEASUREMENT_BYTES),
});

/** SIMULATED: it stands in for the hardware of a test network. */
export interface SimulatedKey {
  readonly seed: Uint8Array;
  readonly measurement: Uint8Array;
}

/** Its measurement is the same on every network: `SHA-384("fogproof/simulated-measurement@1")`. */
export function createSimulatedKey(random: Random): SimulatedKey {
  const measurement = new Uint8Array(createHash('sha384').update('fogproof/simulated-measurement@1').digest());
  return { seed: random.bytes(SEED_BYTES), measurement };
}

/** The public key, 32 bytes: `simulatedTee` of the network's definition, in hex. */
export function computeSimulatedRoot({ seed }: SimulatedKey): Uint8Array {
  const spki = createPublicKey(toPrivateKey(seed)).export({ format: 'der', type: 'spki' });
  return new Uint8Array(spki.subarray(-SEED_BYTES));
}

export function signAsSimulatedRoot({ seed }: SimulatedKey, message: Uint8Array): Uint8Array {
  return new Uint8Array(sign(null, message, toPrivateKey(seed)));
}

function toPrivateKey(seed: Uint8Array): KeyObject {
  return createPrivateKey({ key: Buffer.concat([PKCS8_PREFIX, seed]), format: 'der', type: 'pkcs8' });
}

export function encodeSimulatedKey({ seed, measurement }: SimulatedKey): string {
  const [seedHex, measurementHex] = [seed, measurement].map((bytes) => Buffer.from(bytes).toString('hex'));
  return `${JSON.stringify({ type: TYPE, warning: WARNING, seed: seedHex, measurement: measurementHex }, null, 2)}\n`;
}

/** @throws TeeError TEE_KEY_FILE_INVALID; it quotes nothing of what is in it */
export function parseSimulatedKey(text: string, path: string): SimulatedKey {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // The parser's message would quote the secret.
    throw refuse(path, 'it is not JSON');
  }
  const result = keyFileSchema.safeParse(value);
  if (!result.success) throw refuse(path, `the field '${result.error.issues[0]?.path.join('.') ?? ''}' is wrong`);
  const { seed, measurement } = result.data;
  return { seed: decodeHex(seed), measurement: decodeHex(measurement) };
}

/** @throws TeeError TEE_KEY_FILE_INVALID: not there, not readable, for others to read as well, not such a file */
export async function readSimulatedKey(path: string): Promise<SimulatedKey> {
  try {
    await using file = await open(path, 'r');
    const status = await file.stat();
    if (!status.isFile() || status.size > MAX_FILE_BYTES) throw refuse(path, 'it is no file, or too large');
    if ((status.mode & READABLE_BY_OTHERS) !== 0) throw refuse(path, 'other users may read or change it');
    return parseSimulatedKey(await file.readFile('utf8'), path);
  } catch (cause) {
    if (cause instanceof TeeError) throw cause;
    throw refuse(path, describeError(cause), cause);
  }
}

function refuse(path: string, reason: string, cause?: unknown): TeeError {
  return new TeeError({ code: 'TEE_KEY_FILE_INVALID', path, reason }, { cause });
}

function decodeHex(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, 'hex'));
}
