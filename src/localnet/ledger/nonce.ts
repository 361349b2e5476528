import { createHash } from 'node:crypto';
import { base58btc } from 'multiformats/bases/base58';
import { encodeBase58 } from '../../domain/chain.ts';
import type { AccountState } from '../svm/interface.ts';
import { SYSTEM_PROGRAM } from '../svm/program-ids.ts';
import type { WireMessage } from '../svm/wire-transaction.ts';

const ADVANCE_NONCE_ACCOUNT = 4;
const NONCE_ACCOUNT_BYTES = 80;
/** u32 version, u32 state, authority, durable nonce, u64 lamports per signature. */
const AUTHORITY_OFFSET = 8;
const NONCE_OFFSET = 40;

export interface UsableNonce {
  readonly address: string;
  readonly state: AccountState;
}

/**
 * A transaction whose first instruction advances a nonce account lives as long as that account holds the value that
 * the transaction names as its block hash (https://docs.anza.xyz/implemented-proposals/durable-tx-nonces).
 */
export function findUsableNonce(
  message: WireMessage,
  read: (address: string) => AccountState | undefined,
): UsableNonce | undefined {
  const address = findNonceAddress(message);
  const state = address === undefined ? undefined : read(address);
  if (address === undefined || state === undefined) return undefined;
  const { owner, data } = state;
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  if (owner !== SYSTEM_PROGRAM || data.length !== NONCE_ACCOUNT_BYTES) return undefined;
  if (view.getUint32(0, true) !== 1 || view.getUint32(4, true) !== 1) return undefined;
  const nonce = encodeBase58(data.subarray(NONCE_OFFSET, NONCE_OFFSET + 32));
  const authority = encodeBase58(data.subarray(AUTHORITY_OFFSET, AUTHORITY_OFFSET + 32));
  return nonce === message.recentBlockhash && signsFirstInstruction(message, authority)
    ? { address, state }
    : undefined;
}

function findNonceAddress({ instructions, accountKeys }: WireMessage): string | undefined {
  const [first] = instructions;
  if (first === undefined || accountKeys[first.programIdIndex] !== SYSTEM_PROGRAM || first.data.length < 4)
    return undefined;
  const kind = new DataView(first.data.buffer, first.data.byteOffset).getUint32(0, true);
  const [index] = first.accounts;
  return kind === ADVANCE_NONCE_ACCOUNT && index !== undefined ? accountKeys[index] : undefined;
}

function signsFirstInstruction({ header, instructions, accountKeys }: WireMessage, authority: string): boolean {
  return (instructions[0]?.accounts ?? []).some(
    (index) => index < header.numRequiredSignatures && accountKeys[index] === authority,
  );
}

/** What the account holds once it was advanced in a slot whose latest block hash is `blockhash`. */
export function advanceNonce({ state }: UsableNonce, blockhash: string): AccountState {
  const data = state.data.slice();
  const next = createHash('sha256').update('DURABLE_NONCE').update(base58btc.baseDecode(blockhash)).digest();
  data.set(next, NONCE_OFFSET);
  return { ...state, data };
}
