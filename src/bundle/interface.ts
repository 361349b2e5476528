/**
 * bundle owns the checks behind every assurance, the bundle file (CARv1, its root a `fogproof/bundle@1`) and the
 * in-toto export. It does not own fetching anything: what is not in the file is `unchecked`.
 * Verification runs in a browser: no node: imports below verify.ts; clock and blob reading are injected.
 */
import type { SnapshotStore } from '../blob/interface.ts';
import type { Anchor } from '../domain/anchor.ts';
import type { AssuranceReport, VerificationVerdict } from '../domain/assurance.ts';
import type { BundleAttempt, UnrevealedReplica } from '../domain/bundle.ts';
import type { IsolationLevel } from '../domain/capability.ts';
import type { CommitmentSet } from '../domain/commitment.ts';
import type { JobId, LeaseId, PeerKey } from '../domain/ids.ts';
import type { Job } from '../domain/job.ts';
import type { Signed } from '../domain/signed.ts';

/** What the in-toto export needs of an identity; `identity/` provides it. */
export interface StatementSigner {
  readonly peer: PeerKey;
  /** Ed25519 signature (64 bytes) over `bytes`. */
  sign(bytes: Uint8Array): Promise<Uint8Array>;
}

/** The objects that a bundle is made of; `scheduler`'s JobEvidence satisfies it. */
export interface BundleMaterial {
  readonly job: Signed<Job>;
  readonly attempts: readonly BundleAttempt[];
  readonly commitmentSet: CommitmentSet | null;
  /** Replicas that are in the set and did not reveal; absent is none. */
  readonly unrevealed?: readonly UnrevealedReplica[];
  readonly missingReplicas: readonly { readonly replica: number; readonly reason: string }[];
}

/** What a chain says of an anchor: each check that was made, in order. */
export interface AnchorReading {
  /** Such as `Solana mainnet-beta`, or `a chain with genesis …, which is no public cluster`. */
  readonly chain: string;
  /** Endpoints that were asked, without credentials. */
  readonly askedEndpoints: readonly string[];
  readonly blockTimeMs: number | null;
  readonly checks: readonly { readonly name: string; readonly verdict: VerificationVerdict }[];
}

/** Asks a chain whether an anchor is there; `chain` provides it. Without one, `anchored` is `unchecked` beyond inclusion. */
export interface AnchorReader {
  /**
   * The genesis is the anchor's; the finalised transaction succeeded, is in the slot named, and appended exactly this
   * root to this log at this entry and generation. An endpoint that cannot answer gives `unchecked`, a contradiction
   * `invalid`. Never throws but AbortError.
   */
  readAnchor(anchor: Anchor, options: { readonly signal: AbortSignal }): Promise<AnchorReading>;
}

/** Finds what was anchored of this node's receipts; `chain` provides it. */
export interface AnchorSource {
  proof(receiptDigest: Uint8Array): Promise<Anchor | undefined>;
  /** Number of the batch that a receipt is in, anchored yet or not; undefined if it was never given. */
  batchOf(receiptDigest: Uint8Array): Promise<number | undefined>;
}

/** Evidence of confidential hardware that one attempt showed, and what it has to be about. */
export interface EvidenceQuestion {
  /** Canonical `fogproof/attempt-evidence@1`. */
  readonly evidence: Uint8Array;
  /** JSON of the job's policy: evidence of a kind without a section is not accepted. */
  readonly policy: string;
  /** As of when it is judged. */
  readonly atMs: number;
  readonly expectation: {
    readonly network: string;
    readonly job: JobId;
    readonly lease: LeaseId;
    readonly requester: PeerKey;
    readonly provider: PeerKey;
    readonly isolation: IsolationLevel;
    readonly instrumenter: string;
  };
}

export interface EvidenceJudgement {
  /** Each with what was compared. None at all is not a pass. */
  readonly checks: readonly {
    readonly name: string;
    readonly verdict: 'passed' | 'failed' | 'unchecked';
    readonly detail: string;
  }[];
  /** Which code the evidence names, in hex: `measurement`, `MRTD`, `MRENCLAVE`. Worth something if every check passed. */
  readonly measurements: readonly { readonly name: string; readonly value: string }[];
}

/** Judges evidence of confidential hardware; `tee` provides it. Without one, `attested` is `unchecked`. */
export interface EvidenceJudge {
  /**
   * Roots, signatures, revocation, TCB, policy, and that it was made for this attempt. Whatever evidence and policy are,
   * it answers.
   */
  judge(question: EvidenceQuestion): Promise<EvidenceJudgement>;
}

/** Which blobs go into the file besides the signed objects. */
export type BundleContent = 'evidence' | 'outputs' | 'everything';

/** Which snapshots go into the file: none, the newest held of each replica, or all that are held. */
export type SnapshotChoice = 'none' | 'last' | 'all';

/** The requester's own snapshots; `node/` joins the store with the keys of its jobs. */
export interface SnapshotSource {
  readonly store: Pick<SnapshotStore, 'list' | 'readSnapshot' | 'readItem'>;
  readonly keys: SnapshotKeys;
}

/** Opens sealed snapshots; `scheduler` provides it. */
export interface SnapshotKeys {
  /** Undefined where the job's snapshots are not sealed, or its key is not here. */
  snapshotKey(job: JobId): Promise<Uint8Array | undefined>;
}

export interface BundleVerification {
  /** `invalid` if any assurance is, else `unchecked` if any is, else `valid`. */
  readonly verdict: 'valid' | 'invalid' | 'unchecked';
  readonly job: { readonly id: string; readonly name: string; readonly requester: string; readonly network: string };
  readonly outcome: string;
  readonly assurances: readonly AssuranceReport[];
  /** What this file does not prove, in plain words: always printed. */
  readonly notProven: readonly string[];
}

export interface BundleExportRequest {
  readonly path: string;
  readonly format: 'bundle' | 'in-toto';
  readonly content: BundleContent;
  /** They are exported unsealed: whoever has the file can read the program's state. Absent is none. */
  readonly snapshots?: SnapshotChoice | undefined;
  /** How long to wait until all receipts are anchored; what is not by then is exported without. Absent is not at all. */
  readonly waitForAnchorMs?: number | undefined;
}

export interface ExportedBundle {
  readonly path: string;
  readonly sizeBytes: number;
  readonly verdict: BundleVerification['verdict'];
  /** Receipts that pass their checks, and how many of them have an anchor in the file. */
  readonly receipts: number;
  readonly anchored: number;
  /** Batches in which others of them wait to be anchored, ascending. */
  readonly waitingInBatches: readonly number[];
  /** Snapshots in the file. */
  readonly snapshots: number;
}

export interface BundleExporter {
  /** Writes the file whole or not at all. @throws BundleError, or the signal's reason */
  exportFile(
    material: BundleMaterial,
    request: BundleExportRequest,
    options?: { readonly signal?: AbortSignal },
  ): Promise<ExportedBundle>;
}
