import { encodeBase58 } from '../../domain/chain.ts';
import type { AccountState } from '../svm/interface.ts';
import { SYSTEM_PROGRAM, SYSVAR_CLOCK, TOKEN_PROGRAM, UPGRADEABLE_LOADER } from '../svm/program-ids.ts';
import { isTokenProgram, readTokenMint, readTokenState } from '../svm/token-state.ts';
import { encodeTokenState } from './encode-token.ts';

const LOOKUP_TABLE_PROGRAM = 'AddressLookupTab1e1111111111111111111111111';
const NONCE_BYTES = 80;

export interface ParsedAccount {
  readonly program: string;
  readonly parsed: object;
  readonly space: number;
}

export type ReadAccount = (address: string) => AccountState | undefined;

/** `jsonParsed` of the programs that are known here; undefined for all others, which are sent as base64. */
export function parseAccount(address: string, state: AccountState, read: ReadAccount): ParsedAccount | undefined {
  const { owner, data } = state;
  const wrap = (program: string, parsed: object | undefined): ParsedAccount | undefined =>
    parsed === undefined ? undefined : { program, parsed, space: data.length };
  if (isTokenProgram(owner))
    return wrap(owner === TOKEN_PROGRAM ? 'spl-token' : 'spl-token-2022', parseToken(state, read));
  if (owner === SYSTEM_PROGRAM && data.length === NONCE_BYTES) return wrap('nonce', parseNonce(data));
  if (owner === UPGRADEABLE_LOADER) return wrap('bpf-upgradeable-loader', parseLoaderState(data));
  if (owner === LOOKUP_TABLE_PROGRAM) return wrap('address-lookup-table', parseLookupTable(data));
  return address === SYSVAR_CLOCK ? wrap('sysvar', parseClock(data)) : undefined;
}

function parseToken(state: AccountState, read: ReadAccount): object | undefined {
  const token = readTokenState(state);
  if (token === undefined) return undefined;
  const mint = token.kind === 'account' ? readTokenMint(read(token.mint)) : undefined;
  return encodeTokenState(token, mint?.decimals);
}

function parseNonce(data: Uint8Array): object | undefined {
  const view = viewOf(data);
  if (view.getUint32(4, true) !== 1) return { type: 'uninitialized' };
  const info = {
    authority: encodeBase58(data.subarray(8, 40)),
    blockhash: encodeBase58(data.subarray(40, 72)),
    feeCalculator: { lamportsPerSignature: String(view.getBigUint64(72, true)) },
  };
  return { type: 'initialized', info };
}

function parseLoaderState(data: Uint8Array): object | undefined {
  if (data.length < 4) return undefined;
  const kind = viewOf(data).getUint32(0, true);
  const authorityAt = (offset: number): string | null =>
    data[offset] === 1 ? encodeBase58(data.subarray(offset + 1, offset + 33)) : null;
  const rest = (offset: number): [string, 'base64'] => [
    Buffer.from(data.subarray(offset)).toString('base64'),
    'base64',
  ];
  if (kind === 0) return { type: 'uninitialized' };
  if (kind === 1 && data.length >= 37) return { type: 'buffer', info: { authority: authorityAt(4), data: rest(37) } };
  if (kind === 2 && data.length >= 36)
    return { type: 'program', info: { programData: encodeBase58(data.subarray(4, 36)) } };
  if (kind !== 3 || data.length < 45) return undefined;
  const slot = viewOf(data).getBigUint64(4, true);
  return { type: 'programData', info: { authority: authorityAt(12), data: rest(45), slot } };
}

function parseLookupTable(data: Uint8Array): object | undefined {
  if (data.length < 56) return undefined;
  const view = viewOf(data);
  const count = Math.floor((data.length - 56) / 32);
  const info = {
    addresses: Array.from({ length: count }, (_, index) =>
      encodeBase58(data.subarray(56 + index * 32, 88 + index * 32)),
    ),
    ...(data[21] === 1 ? { authority: encodeBase58(data.subarray(22, 54)) } : {}),
    deactivationSlot: String(view.getBigUint64(4, true)),
    lastExtendedSlot: String(view.getBigUint64(12, true)),
    lastExtendedSlotStartIndex: data[20] ?? 0,
  };
  return { type: 'lookupTable', info };
}

function parseClock(data: Uint8Array): object {
  const view = viewOf(data);
  const info = {
    slot: view.getBigUint64(0, true),
    epochStartTimestamp: view.getBigInt64(8, true),
    epoch: view.getBigUint64(16, true),
    leaderScheduleEpoch: view.getBigUint64(24, true),
    unixTimestamp: view.getBigInt64(32, true),
  };
  return { type: 'clock', info };
}

function viewOf(data: Uint8Array): DataView {
  return new DataView(data.buffer, data.byteOffset, data.byteLength);
}
