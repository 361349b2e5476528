import type { Random } from '../../lib/random.ts';
import type { AttestChallenge } from '../interface.ts';
import { exportPublicKey, generateKeyPair } from './key-pair.ts';

const NONCE_BYTES = 32;

/** The private half of the key is let go at once: the key is in the runtime data, and nothing is sealed to it. */
export async function createChallenge({ random }: { readonly random: Random }): Promise<AttestChallenge> {
  const requesterKey = await exportPublicKey(await generateKeyPair('X25519', ['deriveBits']));
  return { nonce: random.bytes(NONCE_BYTES), requesterKey };
}
