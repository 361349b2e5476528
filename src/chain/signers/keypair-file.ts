import { open } from 'node:fs/promises';
import { ed25519 } from '@noble/curves/ed25519.js';
import { z } from 'zod';
import { areBytesEqual, concatBytes } from '../../lib/bytes.ts';
import { describeError } from '../../lib/errors.ts';
import { systemErrorCode } from '../../lib/system-error.ts';
import { MAX_KEYPAIR_FILE_BYTES } from '../constants.ts';
import { ChainError } from '../errors.ts';
import { KeypairSigner } from './keypair-signer.ts';

const SEED_BYTES = 32;

const keypairSchema = z.array(z.int().min(0).max(255)).length(64);

export interface OpenedKeypairFile {
  readonly signer: KeypairSigner;
  /** What is weaker than it could be about how the key is kept. */
  readonly remarks: readonly string[];
}

/** A keypair file as `solana-keygen` writes it: a JSON array of the 32 bytes of the seed and the 32 of the public key. */
export function encodeKeypairFile(seed: Uint8Array): string {
  return JSON.stringify(Array.from(concatBytes(seed, ed25519.getPublicKey(seed))));
}

/** The seed in a keypair file's text. @throws ChainError CHAIN_BAD_KEYPAIR_FILE */
export function parseKeypairFile(text: string, path: string): Uint8Array {
  const parsed = keypairSchema.safeParse(parseJson(text));
  // What is in the file is secret: the message must not quote it.
  if (!parsed.success) throw badFile(path, 'it is no JSON array of 64 numbers from 0 to 255');
  const bytes = Uint8Array.from(parsed.data);
  const seed = bytes.slice(0, SEED_BYTES);
  if (areBytesEqual(ed25519.getPublicKey(seed), bytes.subarray(SEED_BYTES))) return seed;
  throw badFile(path, 'its public half is not that of its secret half: the file was altered');
}

/** @throws ChainError CHAIN_BAD_KEYPAIR_FILE */
export async function openKeypairFile(path: string): Promise<OpenedKeypairFile> {
  const { text, mode } = await readFile(path);
  const signer = new KeypairSigner({ seed: parseKeypairFile(text, path), description: path });
  const isExposed = (mode & 0o077) !== 0;
  const remarks = isExposed
    ? [`Others can read the wallet's key (mode ${mode.toString(8).padStart(4, '0')}): run \`chmod 600 ${path}\`.`]
    : [];
  return { signer, remarks };
}

async function readFile(path: string): Promise<{ readonly text: string; readonly mode: number }> {
  try {
    await using file = await open(path, 'r');
    const status = await file.stat();
    if (!status.isFile()) throw badFile(path, 'it is no file');
    const { buffer, bytesRead } = await file.read(Buffer.alloc(MAX_KEYPAIR_FILE_BYTES + 1));
    if (bytesRead > MAX_KEYPAIR_FILE_BYTES) throw badFile(path, `it has more than ${MAX_KEYPAIR_FILE_BYTES} bytes`);
    return { text: buffer.toString('utf8', 0, bytesRead), mode: status.mode & 0o777 };
  } catch (error) {
    if (error instanceof ChainError) throw error;
    const isMissing = systemErrorCode(error) === 'ENOENT';
    throw badFile(path, isMissing ? 'there is no such file' : describeError(error), { cause: error });
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function badFile(path: string, reason: string, options?: ErrorOptions): ChainError {
  return new ChainError({ code: 'CHAIN_BAD_KEYPAIR_FILE', path, reason }, options);
}
