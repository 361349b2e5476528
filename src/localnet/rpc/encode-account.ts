import { zstdCompressSync } from 'node:zlib';
import { encodeBase58 } from '../../domain/chain.ts';
import { MAX_BASE58_ACCOUNT_BYTES } from '../constants.ts';
import type { AccountState } from '../svm/interface.ts';
import { RpcFault } from './faults.ts';
import { parseAccount, type ReadAccount } from './parse-account.ts';
import type { AccountConfig, AccountEncoding, AccountFilter } from './schemas.ts';

export interface EncodedAccount {
  readonly lamports: bigint;
  readonly owner: string;
  readonly executable: boolean;
  readonly rentEpoch: bigint;
  readonly space: number;
  readonly data: unknown;
}

export interface AccountView {
  readonly config: Pick<AccountConfig, 'encoding' | 'dataSlice'> | undefined;
  /** Of the same slot: mints of token accounts. */
  readonly read: ReadAccount;
}

/** @throws RpcFault if base58 is asked for more than 128 bytes */
export function encodeAccount(address: string, state: AccountState, view: AccountView): EncodedAccount {
  const { lamports, owner, executable, rentEpoch, data } = state;
  const encoding = view.config?.encoding ?? 'binary';
  const parsed = encoding === 'jsonParsed' ? parseAccount(address, state, view.read) : undefined;
  const slice = view.config?.dataSlice;
  const part = slice === undefined ? data : data.subarray(slice.offset, slice.offset + slice.length);
  const encoded = parsed ?? encodeAccountData(part, encoding);
  return { lamports, owner, executable, rentEpoch, space: data.length, data: encoded };
}

function encodeAccountData(data: Uint8Array, encoding: AccountEncoding): unknown {
  switch (encoding) {
    case 'binary':
    case 'base58': {
      if (data.length > MAX_BASE58_ACCOUNT_BYTES) {
        throw new RpcFault(
          'invalidRequest',
          'Encoded binary (base 58) data should be less than 128 bytes, please use Base64 encoding.',
        );
      }
      const text = encodeBase58(data);
      return encoding === 'binary' ? text : [text, 'base58'];
    }
    case 'base64':
    case 'jsonParsed':
      return [toBase64(data), 'base64'];
    case 'base64+zstd':
      return [zstdCompressSync(data).toString('base64'), 'base64+zstd'];
    default:
      return encoding satisfies never;
  }
}

export function toBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
}

export function matchesFilters({ data }: AccountState, filters: readonly AccountFilter[]): boolean {
  return filters.every((filter) => {
    if ('dataSize' in filter) return data.length === filter.dataSize;
    if ('tokenAccountState' in filter) return data.length >= 165 && data[108] !== 0;
    const { offset, bytes } = filter.memcmp;
    return (
      offset + bytes.length <= data.length && Buffer.compare(data.subarray(offset, offset + bytes.length), bytes) === 0
    );
  });
}
