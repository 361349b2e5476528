import { open } from 'node:fs/promises';
import { isIPv4, isIPv6 } from 'node:net';
import { type AsnResponse, Reader } from 'mmdb-lib';
import { z } from 'zod';
import { describeError } from '../../../lib/errors.ts';
import { NetworkError } from '../../errors.ts';
import type { AutonomousSystems } from '../ports.ts';

/** GeoLite2-ASN has some 12 MB; the whole file is held in memory. */
export const MAX_ASN_DATABASE_BYTES = 256 * 2 ** 20;
/** MaxMind DB 2.0, section Data Section Separator. */
const SEPARATOR_BYTES = 16;
/** Networks that are looked at, from the lowest address of each kind, for one with the number of a system. */
const PROBED_NETWORKS = 256;

/** What counts of the metadata (MaxMind DB 2.0, section Database Metadata). */
const metadataSchema = z.object({
  binaryFormatMajorVersion: z.literal(2),
  ipVersion: z.literal([4, 6]),
  recordSize: z.literal([24, 28, 32]),
  nodeCount: z.int().min(1),
  searchTreeSize: z.int(),
});

/** Numbers of autonomous systems have 32 bits (RFC 6793); 0 is none (RFC 7607). */
const recordSchema = z.object({ autonomous_system_number: z.int().min(1).max(0xffff_ffff) });

/**
 * Autonomous systems by a MaxMind DB file, such as GeoLite2-ASN or DB-IP's ASN Lite. Layout and a record are checked when it
 * is opened; an address whose part of the file is damaged is in no system.
 */
export class MmdbAutonomousSystems implements AutonomousSystems {
  readonly #reader: Reader<AsnResponse>;

  private constructor(reader: Reader<AsnResponse>) {
    this.#reader = reader;
  }

  /** @param path for the error. @throws NetworkError NETWORK_BAD_ASN_DATABASE */
  static parse(bytes: Uint8Array, path: string): MmdbAutonomousSystems {
    const refuse = createRefusal(path);
    let systems: MmdbAutonomousSystems;
    try {
      systems = new MmdbAutonomousSystems(new Reader(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)));
    } catch (error) {
      throw refuse('it is no MaxMind DB file, or a damaged one', error);
    }
    const fault = systems.#findFault(bytes);
    if (fault !== null) throw refuse(fault);
    return systems;
  }

  find(ip: string): number | null {
    const isReadable = isIPv4(ip) || (this.#reader.metadata.ipVersion === 6 && isIPv6(ip));
    return isReadable ? this.#look(ip).system : null;
  }

  #findFault(bytes: Uint8Array): string | null {
    const metadata = metadataSchema.safeParse(this.#reader.metadata);
    if (!metadata.success) return 'it is no MaxMind DB file of version 2';
    const { searchTreeSize, ipVersion } = metadata.data;
    const separator = bytes.subarray(searchTreeSize, searchTreeSize + SEPARATOR_BYTES);
    if (separator.length < SEPARATOR_BYTES || separator.some((byte) => byte !== 0)) return 'it is cut off or damaged';
    if (this.#hasSystem(32) || (ipVersion === 6 && this.#hasSystem(128))) return null;
    return `it is no table of autonomous systems but '${String(this.#reader.metadata.databaseType).slice(0, 60)}'`;
  }

  /** Whether one of the first networks is in a system: tables of countries or cities have no number anywhere. */
  #hasSystem(bits: 32 | 128): boolean {
    let address = 0n;
    for (let count = 0; count < PROBED_NETWORKS && address >> BigInt(bits) === 0n; count += 1) {
      const { system, prefixLength } = this.#look(formatAddress(address, bits));
      if (system !== null) return true;
      address += 1n << BigInt(bits - prefixLength);
    }
    return false;
  }

  #look(ip: string): { readonly system: number | null; readonly prefixLength: number } {
    try {
      const [found, prefixLength] = this.#reader.getWithPrefixLength(ip);
      if (found === null) return { system: null, prefixLength };
      const record = recordSchema.safeParse(found);
      return { system: record.success ? record.data.autonomous_system_number : null, prefixLength };
    } catch {
      // The library reads past the end, or runs in circles, where the file is damaged.
      return { system: null, prefixLength: 24 };
    }
  }
}

/** Reads it whole. @throws NetworkError NETWORK_BAD_ASN_DATABASE */
export async function openAutonomousSystems(path: string): Promise<MmdbAutonomousSystems> {
  const refuse = createRefusal(path);
  let bytes: Uint8Array;
  try {
    await using file = await open(path, 'r');
    const status = await file.stat();
    if (!status.isFile()) throw refuse('it is not a file');
    if (status.size > MAX_ASN_DATABASE_BYTES) {
      throw refuse(`it has ${status.size} bytes, and at most ${MAX_ASN_DATABASE_BYTES} are read`);
    }
    bytes = await file.readFile();
  } catch (error) {
    throw error instanceof NetworkError ? error : refuse(describeError(error), error);
  }
  return MmdbAutonomousSystems.parse(bytes, path);
}

function createRefusal(path: string): (reason: string, cause?: unknown) => NetworkError {
  return (reason, cause) => new NetworkError({ code: 'NETWORK_BAD_ASN_DATABASE', path, reason }, { cause });
}

function formatAddress(address: bigint, bits: 32 | 128): string {
  const words = (count: number, size: bigint): bigint[] =>
    Array.from({ length: count }, (_, index) => (address >> (BigInt(count - 1 - index) * size)) & ((1n << size) - 1n));
  if (bits === 32) return words(4, 8n).join('.');
  return words(8, 16n)
    .map((word) => word.toString(16))
    .join(':');
}
