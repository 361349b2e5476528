import { base58btc } from 'multiformats/bases/base58';
import { z } from 'zod';
import type { Brand } from '../lib/brand.ts';
import { encodeUtf8 } from '../lib/bytes.ts';
import { sha256 } from '../lib/cid.ts';
import { DomainError } from './errors.ts';

/** A public key or derived address of Solana: 32 bytes, base58. */
export type SolanaAddress = Brand<string, 'SolanaAddress'>;
/** First signature of a transaction: 64 bytes, base58. */
export type TransactionSignature = Brand<string, 'TransactionSignature'>;
/** Hash of a block or of the genesis: 32 bytes, base58. */
export type BlockHash = Brand<string, 'BlockHash'>;
/** The smallest unit of SOL (10^-9). Never a number. */
export type Lamports = Brand<bigint, 'Lamports'>;

const U64_MAX = 2n ** 64n - 1n;
/** 64 bytes are at most 88 characters. */
const MAX_BASE58_LENGTH = 88;

function parseBase58(text: string, kind: string, length: number): string {
  if (isBase58(text, length)) return text;
  throw new DomainError({ code: 'DOMAIN_BAD_ID', kind, text: text.slice(0, 100) });
}

function isBase58(text: unknown, length: number): boolean {
  if (typeof text !== 'string' || text.length > MAX_BASE58_LENGTH) return false;
  try {
    return base58btc.baseDecode(text).length === length;
  } catch {
    return false;
  }
}

export const SolanaAddress = (text: string): SolanaAddress => parseBase58(text, 'Solana address', 32) as SolanaAddress;
export const TransactionSignature = (text: string): TransactionSignature =>
  parseBase58(text, 'transaction signature', 64) as TransactionSignature;
export const BlockHash = (text: string): BlockHash => parseBase58(text, 'block hash', 32) as BlockHash;

/** @throws DomainError DOMAIN_BAD_LAMPORTS unless `value` fits an unsigned 64-bit integer */
export function Lamports(value: bigint): Lamports {
  if (value < 0n || value > U64_MAX) throw new DomainError({ code: 'DOMAIN_BAD_LAMPORTS', value: String(value) });
  return value as Lamports;
}

/** Bytes of an address, a signature or a hash. */
export function decodeBase58(text: SolanaAddress | TransactionSignature | BlockHash): Uint8Array {
  return base58btc.baseDecode(text);
}

export function encodeBase58(bytes: Uint8Array): string {
  return base58btc.baseEncode(bytes);
}

export const solanaAddressSchema = z.custom<SolanaAddress>((value) => isBase58(value, 32), {
  error: 'expected a Solana address: 32 bytes in base58',
});
export const transactionSignatureSchema = z.custom<TransactionSignature>((value) => isBase58(value, 64), {
  error: 'expected a transaction signature: 64 bytes in base58',
});
export const blockHashSchema = z.custom<BlockHash>((value) => isBase58(value, 32), {
  error: 'expected a hash: 32 bytes in base58',
});

/** An endpoint of the Solana JSON-RPC API. The WebSocket one is derived from it as Solana's tools do. */
export const rpcUrlSchema = z
  .string()
  .max(512)
  .refine(isHttpUrl, 'expected the address of a Solana RPC endpoint such as http://127.0.0.1:8899');

function isHttpUrl(text: string): boolean {
  return URL.canParse(text) && /^https?:$/.test(new URL(text).protocol);
}

export type ClusterName = 'mainnet-beta' | 'devnet' | 'testnet';

/** A chain is known by its genesis alone; whatever an endpoint calls itself is not asked. */
export interface Cluster {
  readonly genesis: BlockHash;
  /** Null for a chain that is none of Solana's public clusters: a local one, or somebody's own. */
  readonly name: ClusterName | null;
}

/** Genesis hashes of the public clusters, as `solana genesis-hash` gives them. */
const CLUSTER_NAMES: Readonly<Record<string, ClusterName>> = {
  '5eykt4UsFv8P8NJdTREpY1vzqKqZKvdpKuc147dw2N9d': 'mainnet-beta',
  EtWTRABZaYq6iMfeYKouRu166VU2xqa1wcaWoxPkrZBG: 'devnet',
  '4uhcVJyU9pJkvQyS88uRDiswHXSCkY3zQawwpjk2NsNY': 'testnet',
};

export function identifyCluster(genesis: BlockHash): Cluster {
  return { genesis, name: CLUSTER_NAMES[genesis] ?? null };
}

/** Whoever runs a chain that nobody else takes part in knows its block hashes beforehand. */
export function isPredictable({ name }: Cluster): boolean {
  return name === null;
}

/**
 * Where `fogproof localnet` puts our programs: SHA-256("fogproof/localnet-program@1/" ‖ name), the same on every local
 * chain. On a cluster a program is where its deployer put it.
 */
export function computeLocalProgramAddress(name: string): SolanaAddress {
  return SolanaAddress(encodeBase58(sha256(encodeUtf8(`fogproof/localnet-program@1/${name}`))));
}
