import { createHash } from 'node:crypto';
import { ed25519 } from '@noble/curves/ed25519.js';
import { base58btc } from 'multiformats/bases/base58';
import { BlockHash, encodeBase58, identifyCluster } from '../../domain/chain.ts';
import { concatBytes, encodeU64, encodeUtf8 } from '../../lib/bytes.ts';
import type { Clock } from '../../lib/clock.ts';
import type { Random } from '../../lib/random.ts';
import { STORE_VERSION } from '../constants.ts';
import type { StoredGenesis } from '../store/codecs.ts';

/** Another chain each time, and never one of the public clusters. */
export function createGenesis(modules: { readonly random: Random; readonly clock: Clock }): StoredGenesis {
  const { random, clock } = modules;
  for (;;) {
    const genesis = encodeBase58(random.bytes(32));
    if (identifyCluster(BlockHash(genesis)).name !== null) continue;
    return {
      version: STORE_VERSION,
      genesis,
      faucetSeed: Uint8Array.from(random.bytes(32)),
      identitySeed: Uint8Array.from(random.bytes(32)),
      createdAtMs: clock.nowMs(),
    };
  }
}

/** Follows from what came before: anybody who has the chain can say the hash of an empty block beforehand. */
export function computeBlockhash(previous: string, slot: number, signatures: readonly string[]): string {
  const parts = signatures.map((signature) => base58btc.baseDecode(signature));
  const content = concatBytes(
    encodeUtf8('fogproof/localnet-block@1'),
    base58btc.baseDecode(previous),
    encodeU64(slot),
    ...parts,
  );
  return encodeBase58(createHash('sha256').update(content).digest());
}

export function addressOf(seed: Uint8Array): string {
  return encodeBase58(ed25519.getPublicKey(seed));
}
