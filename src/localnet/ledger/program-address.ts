import { createHash } from 'node:crypto';
import { ed25519 } from '@noble/curves/ed25519.js';
import { base58btc } from 'multiformats/bases/base58';
import { encodeBase58 } from '../../domain/chain.ts';
import { InternalError } from '../../lib/errors.ts';

/** The address of a program's data under the upgradeable loader: the first that is no public key, from bump 255 down. */
export function findProgramDataAddress(program: string, loader: string): string {
  for (let bump = 255; bump >= 0; bump -= 1) {
    const hash = createHash('sha256')
      .update(base58btc.baseDecode(program))
      .update(Uint8Array.of(bump))
      .update(base58btc.baseDecode(loader))
      .update('ProgramDerivedAddress')
      .digest();
    if (!isOnCurve(hash)) return encodeBase58(hash);
  }
  throw new InternalError(`no address is derived from ${program}`);
}

function isOnCurve(bytes: Uint8Array): boolean {
  try {
    ed25519.Point.fromBytes(bytes);
    return true;
  } catch {
    return false;
  }
}
