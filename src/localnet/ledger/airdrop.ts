import { ed25519 } from '@noble/curves/ed25519.js';
import { base58btc } from 'multiformats/bases/base58';
import { concatBytes } from '../../lib/bytes.ts';
import { COMPUTE_BUDGET_PROGRAM, SYSTEM_PROGRAM } from '../svm/program-ids.ts';

export interface AirdropOrder {
  readonly faucetSeed: Uint8Array;
  readonly to: string;
  readonly lamports: bigint;
  readonly blockhash: string;
  /** Makes an order that was given before another transaction: 0 asks for nothing. */
  readonly salt: number;
}

const COMPUTE_UNITS = 10_000;

/** A transfer of the system program, signed by the faucet. */
export function buildAirdrop({ faucetSeed, to, lamports, blockhash, salt }: AirdropOrder): Uint8Array {
  const faucet = ed25519.getPublicKey(faucetSeed);
  const transfer = new Uint8Array(12);
  const view = new DataView(transfer.buffer);
  view.setUint32(0, 2, true);
  view.setBigUint64(4, lamports, true);
  const limit = new Uint8Array(5);
  limit[0] = 2;
  new DataView(limit.buffer).setUint32(1, COMPUTE_UNITS + salt, true);
  const programs = [SYSTEM_PROGRAM, ...(salt === 0 ? [] : [COMPUTE_BUDGET_PROGRAM])].map((key) =>
    base58btc.baseDecode(key),
  );
  const instructions = [
    ...(salt === 0 ? [] : [Uint8Array.of(3, 0, limit.length), limit]),
    Uint8Array.of(2, 2, 0, 1, transfer.length),
    transfer,
  ];
  const message = concatBytes(
    Uint8Array.of(1, 0, programs.length, 2 + programs.length),
    faucet,
    base58btc.baseDecode(to),
    ...programs,
    base58btc.baseDecode(blockhash),
    Uint8Array.of(programs.length),
    ...instructions,
  );
  return concatBytes(Uint8Array.of(1), ed25519.sign(message, faucetSeed), message);
}
