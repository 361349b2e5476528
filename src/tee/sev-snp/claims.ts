import { decodeUtf8, encodeHex } from '../../lib/bytes.ts';
import type { Endorsement } from './endorsement.ts';
import type { HclReport } from './hcl-report.ts';
import type { SevSnpClaims } from './interface.ts';
import type { Product } from './products.ts';
import type { SevSnpReport } from './report.ts';
import { decodeTcb } from './tcb.ts';

interface ClaimParts {
  readonly report: SevSnpReport;
  readonly hcl: HclReport | null;
  readonly product: Product | undefined;
  readonly endorsement: Endorsement | undefined;
  readonly revocationJudged: boolean;
}

export function describeClaims({ report, hcl, product, endorsement, revocationJudged }: ClaimParts): SevSnpClaims {
  const tcb = (bytes: Uint8Array) => (product === undefined ? null : (decodeTcb(product, bytes) ?? null));
  return {
    version: report.version,
    product: product ?? null,
    cpu: report.cpu,
    measurement: encodeHex(report.measurement),
    reportData: encodeHex(report.reportData),
    hostData: encodeHex(report.hostData),
    guestSvn: report.guestSvn,
    familyId: encodeHex(report.familyId),
    imageId: encodeHex(report.imageId),
    idKeyDigest: encodeHex(report.idKeyDigest),
    authorKeyDigest: report.hasAuthorKey ? encodeHex(report.authorKeyDigest) : null,
    reportId: encodeHex(report.reportId),
    vmpl: report.vmpl,
    policy: describeGuestPolicy(report),
    platform: describePlatform(report.platformInfo),
    tcb: {
      reported: tcb(report.reportedTcb),
      committed: tcb(report.committedTcb),
      current: tcb(report.currentTcb),
      launch: tcb(report.launchTcb),
    },
    signingKey: report.signingKey,
    chipId: encodeHex(report.chipId),
    cloudProvider: endorsement?.kind === 'vlek' ? endorsement.cloudProvider : null,
    revocationJudged,
    azure: hcl === null ? null : describeHcl(hcl),
  };
}

function describeGuestPolicy({ policy }: SevSnpReport): SevSnpClaims['policy'] {
  return {
    bits: formatBits(policy.bits),
    abi: `${policy.abiMajor}.${policy.abiMinor}`,
    debug: policy.debugAllowed,
    migration: policy.migrationAllowed,
    smt: policy.smtAllowed,
    singleSocket: policy.singleSocketRequired,
  };
}

/** AMD 56860, revision 1.58, table 24. */
function describePlatform(bits: bigint): SevSnpClaims['platform'] {
  const has = (bit: bigint): boolean => ((bits >> bit) & 1n) === 1n;
  return {
    bits: formatBits(bits),
    smt: has(0n),
    memoryEncryption: has(1n),
    ecc: has(2n),
    raplDisabled: has(3n),
    ciphertextHiding: has(4n),
    aliasChecked: has(5n),
  };
}

function describeHcl({ runtimeData, userData }: HclReport): SevSnpClaims['azure'] {
  return { runtimeData: decodeUtf8(runtimeData), userData: userData === null ? null : encodeHex(userData) };
}

function formatBits(bits: bigint): string {
  return `0x${bits.toString(16)}`;
}
