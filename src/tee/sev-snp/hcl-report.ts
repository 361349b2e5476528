/**
 * Azure's form: its paravisor (HCL) runs in the guest at VMPL 0, asks for the report and offers it through the vTPM.
 * https://learn.microsoft.com/azure/confidential-computing/guest-attestation-confidential-virtual-machines-design
 * The report's data is the SHA-256 of a JSON text with the vTPM's keys and what the guest wanted to have bound.
 */
import { decodeUtf8 } from '../../lib/bytes.ts';
import { TeeError } from '../errors.ts';
import {
  HCL_MAX_BYTES,
  HCL_REPORT_OFFSET,
  HCL_RUNTIME_HEADER_BYTES,
  HCL_RUNTIME_OFFSET,
  REPORT_BYTES,
} from './constants.ts';
import { isZero } from './report.ts';

export interface HclReport {
  readonly report: Uint8Array;
  /** JSON text, as it was hashed. */
  readonly runtimeData: Uint8Array;
  /** What the guest wanted to have bound: 64 bytes. Null if the text names none. */
  readonly userData: Uint8Array | null;
}

const WHAT = "Azure's HCL report";
/** `HCLA`. */
const MAGIC = [0x48, 0x43, 0x4c, 0x41];
const TYPE_SNP = 2;
const HASH_SHA256 = 1;
const USER_DATA = /^[0-9A-Fa-f]{128}$/u;

export function isHclReport(bytes: Uint8Array): boolean {
  return MAGIC.every((byte, index) => bytes[index] === byte);
}

/** @throws TeeError TEE_MALFORMED, TEE_TOO_LARGE */
export function parseHclReport(bytes: Uint8Array): HclReport {
  if (bytes.length > HCL_MAX_BYTES) {
    throw new TeeError({ code: 'TEE_TOO_LARGE', what: WHAT, sizeBytes: bytes.length, limitBytes: HCL_MAX_BYTES });
  }
  const start = HCL_RUNTIME_OFFSET + HCL_RUNTIME_HEADER_BYTES;
  if (!isHclReport(bytes)) fail(0, 'it does not begin with HCLA');
  if (bytes.length < start) fail(bytes.length, 'it ends before its runtime data');
  const view = new DataView(bytes.buffer, bytes.byteOffset + HCL_RUNTIME_OFFSET, HCL_RUNTIME_HEADER_BYTES);
  const [totalBytes, , type, hash, dataBytes] = [0, 4, 8, 12, 16].map((offset) => view.getUint32(offset, true));
  if (type !== TYPE_SNP) fail(HCL_RUNTIME_OFFSET + 8, `report type ${type} is not SEV-SNP (${TYPE_SNP})`);
  if (hash !== HASH_SHA256) fail(HCL_RUNTIME_OFFSET + 12, `hash type ${hash} is not SHA-256 (${HASH_SHA256})`);
  const end = start + (dataBytes ?? 0);
  if (end > bytes.length || totalBytes !== HCL_RUNTIME_HEADER_BYTES + (dataBytes ?? 0)) {
    fail(
      HCL_RUNTIME_OFFSET,
      `lengths ${totalBytes} and ${dataBytes} do not fit together or into ${bytes.length} bytes`,
    );
  }
  if (!isZero(bytes.subarray(end))) fail(end, 'what follows the runtime data is not zero');
  const runtimeData = bytes.subarray(start, end);
  return {
    report: bytes.subarray(HCL_REPORT_OFFSET, HCL_REPORT_OFFSET + REPORT_BYTES),
    runtimeData,
    userData: readUserData(runtimeData, start),
  };
}

function readUserData(runtimeData: Uint8Array, offset: number): Uint8Array | null {
  const parsed = parseJson(runtimeData, offset);
  if (typeof parsed !== 'object' || parsed === null || !('user-data' in parsed)) return null;
  const text = parsed['user-data'];
  if (typeof text !== 'string' || !USER_DATA.test(text)) return fail(offset, 'its user-data is not 64 bytes in hex');
  return Uint8Array.from({ length: text.length / 2 }, (_, index) =>
    Number.parseInt(text.slice(2 * index, 2 * index + 2), 16),
  );
}

function parseJson(bytes: Uint8Array, offset: number): unknown {
  try {
    return JSON.parse(decodeUtf8(bytes));
  } catch (cause) {
    throw new TeeError(
      { code: 'TEE_MALFORMED', what: WHAT, offset, reason: 'its runtime data is not JSON' },
      { cause },
    );
  }
}

function fail(offset: number, reason: string): never {
  throw new TeeError({ code: 'TEE_MALFORMED', what: WHAT, offset, reason });
}
