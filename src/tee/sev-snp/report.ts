/** Attestation reports of AMD SEV-SNP (AMD 56860, revision 1.58, table 23). */
import { TeeError } from '../errors.ts';
import {
  CHIP_ID_BYTES,
  REPORT_BYTES,
  REPORT_VERSIONS,
  SCALAR_BYTES,
  SCALAR_FIELD_BYTES,
  SIGNED_BYTES,
} from './constants.ts';

export type SigningKey = 'vcek' | 'vlek' | 'none' | 'unknown';

export interface GuestPolicy {
  readonly abiMajor: number;
  readonly abiMinor: number;
  readonly smtAllowed: boolean;
  readonly migrationAllowed: boolean;
  readonly debugAllowed: boolean;
  readonly singleSocketRequired: boolean;
  /** Bits as they stand. */
  readonly bits: bigint;
}

export interface SevSnpReport {
  readonly version: number;
  readonly guestSvn: number;
  readonly policy: GuestPolicy;
  readonly familyId: Uint8Array;
  readonly imageId: Uint8Array;
  readonly vmpl: number;
  readonly signatureAlgorithm: number;
  /** TCB versions as bytes: which byte is what depends on the product. */
  readonly currentTcb: Uint8Array;
  readonly reportedTcb: Uint8Array;
  readonly committedTcb: Uint8Array;
  readonly launchTcb: Uint8Array;
  readonly platformInfo: bigint;
  readonly hasAuthorKey: boolean;
  readonly isChipKeyMasked: boolean;
  readonly signingKey: SigningKey;
  readonly reportData: Uint8Array;
  readonly measurement: Uint8Array;
  readonly hostData: Uint8Array;
  readonly idKeyDigest: Uint8Array;
  readonly authorKeyDigest: Uint8Array;
  readonly reportId: Uint8Array;
  readonly migrationAgentReportId: Uint8Array;
  /** Null before version 3. */
  readonly cpu: { readonly family: number; readonly model: number; readonly stepping: number } | null;
  readonly chipId: Uint8Array;
  /** What the signature covers. */
  readonly signed: Uint8Array;
  /** r || s, big-endian, 48 bytes each; null if either is larger. */
  readonly signature: Uint8Array | null;
  /** Names of reserved fields that are not zero. */
  readonly dirtyReserved: readonly string[];
}

const SIGNING_KEYS: Readonly<Record<number, SigningKey>> = { 0: 'vcek', 1: 'vlek', 7: 'none' };

/** Inclusive start, exclusive end. PLATFORM_INFO is not among them: AMD goes on to define bits of it. */
const RESERVED: readonly (readonly [string, number, number])[] = [
  ['0x4C', 0x4c, 0x50],
  ['0x18B', 0x18b, 0x1a0],
  ['0x1EB', 0x1eb, 0x1ec],
  ['0x1EF', 0x1ef, 0x1f0],
  ['0x208', 0x208, SIGNED_BYTES],
  ['0x330', SIGNED_BYTES + 2 * SCALAR_FIELD_BYTES, REPORT_BYTES],
];
const RESERVED_BEFORE_CPUID: readonly [string, number, number] = ['0x188', 0x188, 0x18b];
const RESERVED_BEFORE_MITIGATIONS: readonly [string, number, number] = ['0x1F8', 0x1f8, 0x208];

/** @throws TeeError TEE_MALFORMED for another size or version */
export function parseReport(bytes: Uint8Array): SevSnpReport {
  if (bytes.length !== REPORT_BYTES) fail(Math.min(bytes.length, REPORT_BYTES), sizeReason(bytes.length));
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const version = view.getUint32(0, true);
  if (!REPORT_VERSIONS.includes(version)) fail(0, `version ${version} is none of ${REPORT_VERSIONS.join(', ')}`);
  const flags = view.getUint32(0x48, true);
  return {
    version,
    guestSvn: view.getUint32(0x04, true),
    policy: parseGuestPolicy(view.getBigUint64(0x08, true)),
    vmpl: view.getUint32(0x30, true),
    signatureAlgorithm: view.getUint32(0x34, true),
    platformInfo: view.getBigUint64(0x40, true),
    hasAuthorKey: (flags & 1) !== 0,
    isChipKeyMasked: (flags & 2) !== 0,
    signingKey: SIGNING_KEYS[(flags >>> 2) & 7] ?? 'unknown',
    ...sliceFields(bytes),
    cpu:
      version < 3
        ? null
        : { family: view.getUint8(0x188), model: view.getUint8(0x189), stepping: view.getUint8(0x18a) },
    signed: bytes.subarray(0, SIGNED_BYTES),
    signature: parseSignature(bytes),
    dirtyReserved: findDirty(bytes, { version, flags }),
  };
}

function fail(offset: number, reason: string): never {
  throw new TeeError({ code: 'TEE_MALFORMED', what: 'the SEV-SNP report', offset, reason });
}

function sizeReason(length: number): string {
  return `a report has ${REPORT_BYTES} bytes, this has ${length}`;
}

function sliceFields(bytes: Uint8Array) {
  const slice = (start: number, length: number): Uint8Array => bytes.subarray(start, start + length);
  return {
    familyId: slice(0x10, 16),
    imageId: slice(0x20, 16),
    currentTcb: slice(0x38, 8),
    reportData: slice(0x50, 64),
    measurement: slice(0x90, 48),
    hostData: slice(0xc0, 32),
    idKeyDigest: slice(0xe0, 48),
    authorKeyDigest: slice(0x110, 48),
    reportId: slice(0x140, 32),
    migrationAgentReportId: slice(0x160, 32),
    reportedTcb: slice(0x180, 8),
    chipId: slice(0x1a0, CHIP_ID_BYTES),
    committedTcb: slice(0x1e0, 8),
    launchTcb: slice(0x1f0, 8),
  };
}

/** Table 9: bit 17 is always one; bits from 26 on are reserved. */
function parseGuestPolicy(bits: bigint): GuestPolicy {
  const has = (bit: bigint): boolean => ((bits >> bit) & 1n) === 1n;
  return {
    abiMinor: Number(bits & 0xffn),
    abiMajor: Number((bits >> 8n) & 0xffn),
    smtAllowed: has(16n),
    migrationAllowed: has(18n),
    debugAllowed: has(19n),
    singleSocketRequired: has(20n),
    bits,
  };
}

function parseSignature(bytes: Uint8Array): Uint8Array | null {
  const scalars = new Uint8Array(2 * SCALAR_BYTES);
  for (const index of [0, 1]) {
    const start = SIGNED_BYTES + index * SCALAR_FIELD_BYTES;
    if (!isZero(bytes.subarray(start + SCALAR_BYTES, start + SCALAR_FIELD_BYTES))) return null;
    scalars.set(bytes.slice(start, start + SCALAR_BYTES).reverse(), index * SCALAR_BYTES);
  }
  return scalars;
}

function findDirty(bytes: Uint8Array, { version, flags }: { version: number; flags: number }): readonly string[] {
  const ranges = [...RESERVED];
  if (version < 3) ranges.push(RESERVED_BEFORE_CPUID);
  if (version < 5) ranges.push(RESERVED_BEFORE_MITIGATIONS);
  const dirty = ranges.filter(([, start, end]) => !isZero(bytes.subarray(start, end))).map(([name]) => name);
  return flags >>> 5 === 0 ? dirty : [...dirty, '0x48 (bits from 5 on)'];
}

export function isZero(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 0);
}
