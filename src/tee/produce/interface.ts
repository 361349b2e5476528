/**
 * tee/produce makes evidence of the trusted execution environment that this process runs in. It needs Node.
 *
 * - `detect-producer.ts` looks what is there and joins the parts; `simulated/` is its stand-in for tests.
 * - `hardware/` a ReportSource for each interface to the hardware: configfs-tsm of Linux (SEV-SNP, TDX), Gramine (SGX).
 * - `collateral/` what the vendors say: fetched, verified against the pinned roots, kept on disk while it is current.
 * - `nvidia/` GPU evidence, by the vendor's command.
 *
 * It does not judge: the requester does. What it fetches it believes only as far as the pinned roots vouch for it, so that
 * nothing else is kept. It never reads from a peer.
 */
import type { ProducedEvidence } from '../interface.ts';

export type HardwareKind = 'sev-snp' | 'tdx' | 'sgx';

/** Files that a kernel or a library OS makes up: their size is not known before, and each write does something. */
export interface PseudoFiles {
  /** The whole. @throws TeeError TEE_TOO_LARGE; errors of the system */
  read(path: string, options: { readonly maxBytes: number }): Promise<Uint8Array>;
  /** All bytes in one write, into a file that is there: it is neither made nor cut. */
  write(path: string, bytes: Uint8Array): Promise<void>;
  /** @throws the system's EEXIST */
  makeFolder(path: string): Promise<void>;
  /** With the files that the system has put there. */
  removeFolder(path: string): Promise<void>;
  exists(path: string): Promise<boolean>;
}

export interface RawReport {
  readonly report: Uint8Array;
  /** What came along with it: for SEV-SNP the host's table of certificates. Often empty. */
  readonly auxiliary: Uint8Array;
}

/** One interface to the hardware. Calls do not overlap. */
export interface ReportSource {
  readonly kind: HardwareKind;
  /** What it is called in errors. */
  readonly what: string;
  /** @throws TeeError TEE_PRODUCE_FAILED, TEE_BUSY, TEE_TOO_LARGE */
  readReport(reportData: Uint8Array): Promise<RawReport>;
}

export type Endorsements = Pick<ProducedEvidence, 'certificates' | 'collateral'>;

/** What the vendor says of the platform that made a report. */
export interface Endorser {
  /** @throws TeeError TEE_COLLATERAL_UNAVAILABLE if something is missing without which the report proves nothing */
  endorse(kind: HardwareKind, raw: RawReport, options: { readonly signal: AbortSignal }): Promise<Endorsements>;
}

export type GpuEvidence = NonNullable<ProducedEvidence['gpus']>;

export interface GpuCollector {
  /** Of every GPU of the machine. @throws TeeError TEE_PRODUCE_FAILED, TEE_MALFORMED, TEE_TOO_LARGE */
  collect(nonce: Uint8Array, options: { readonly signal: AbortSignal }): Promise<GpuEvidence>;
}
