/**
 * The table of certificates that a host hands to its SEV-SNP guests with a report (AMD 56421, GHCB, revision 2.03, section
 * 4.1.8.1): entries of GUID (16 bytes, as it is written), offset and length (u32, little-endian), ended by one of zeros.
 */
import { encodeHex } from '../../../lib/bytes.ts';
import { TeeError } from '../../errors.ts';

const ENTRY_BYTES = 24;
const GUID_BYTES = 16;
const MAX_ENTRIES = 16;
const END = '0'.repeat(2 * GUID_BYTES);

/** Of keys that sign reports. AMD's certificates above them are pinned, and what else is there is not needed. */
const SIGNING_KEYS: ReadonlySet<string> = new Set([
  // VCEK
  '63da758de6644564adc5f4b93be8accd',
  // VLEK
  'a8074bc2a25a483eaae639c045a0b8a1',
]);

/** Certificates of VCEK and VLEK, as they stand; none of an empty table. @throws TeeError TEE_MALFORMED */
export function readCertificateTable(bytes: Uint8Array): Uint8Array[] {
  if (bytes.length === 0) return [];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const certificates: Uint8Array[] = [];
  for (let index = 0; index < MAX_ENTRIES; index++) {
    const start = index * ENTRY_BYTES;
    if (start + ENTRY_BYTES > bytes.length) return fail(start, 'it has no end');
    const guid = encodeHex(bytes.subarray(start, start + GUID_BYTES));
    const offset = view.getUint32(start + GUID_BYTES, true);
    const length = view.getUint32(start + GUID_BYTES + 4, true);
    if (guid === END && offset === 0 && length === 0) return certificates;
    if (offset + length > bytes.length) return fail(start, `an entry of ${length} bytes at ${offset} is cut off`);
    if (SIGNING_KEYS.has(guid) && length > 0) certificates.push(bytes.slice(offset, offset + length));
  }
  return fail(MAX_ENTRIES * ENTRY_BYTES, `more than ${MAX_ENTRIES} entries`);
}

function fail(offset: number, reason: string): never {
  throw new TeeError({ code: 'TEE_MALFORMED', what: "the host's table of certificates", offset, reason });
}
