import type { BlobStore } from '../blob/interface.ts';
import type { Bundle, BundleAttempt, UnrevealedReplica } from '../domain/bundle.ts';
import { COMMITMENT } from '../domain/commitment.ts';
import { type BlobId, JobId, LeaseId, ObjectId, UnixMs } from '../domain/ids.ts';
import { LEASE } from '../domain/lease.ts';
import type { Receipt } from '../domain/receipt.ts';
import type { Signed } from '../domain/signed.ts';
import { listProgramBlobs } from '../domain/workload.ts';
import type { AbortOptions } from '../lib/abort.ts';
import { writeFileAtomic } from '../lib/atomic-file.ts';
import type { Clock } from '../lib/clock.ts';
import { DaemonError, describeError } from '../lib/errors.ts';
import { openSigned } from '../proofs/signed-object.ts';
import { type CollectedAnchors, collectAnchors } from './collect-anchors.ts';
import { type CollectedSnapshots, collectSnapshots, type LeaseLine, NO_SNAPSHOTS } from './collect-snapshots.ts';
import { EXPORT_CHAIN_TIMEOUT_MS } from './constants.ts';
import { computePae, encodeDsse } from './dsse.ts';
import { BundleError } from './errors.ts';
import { type BlobSizes, findComparedBlobs, findProofBlobs } from './evidence-blobs.ts';
import { fitRoot } from './fit-root.ts';
import { encodeStatement, IN_TOTO_PAYLOAD_TYPE } from './in-toto.ts';
import type {
  AnchorReader,
  AnchorSource,
  BundleContent,
  BundleExporter,
  BundleExportRequest,
  BundleMaterial,
  EvidenceJudge,
  ExportedBundle,
  SnapshotSource,
  StatementSigner,
} from './interface.ts';
import type { EvidenceBlobs } from './open-chain.ts';
import { type Assessment, assessEvidence, type FileContents } from './verify.ts';
import { writeBlocks } from './write-blocks.ts';

export interface CarBundleExporterModules {
  readonly blobs: Pick<BlobStore, 'stat' | 'get' | 'read' | 'pin'>;
  readonly identity: StatementSigner;
  readonly clock: Clock;
  /** Absent where receipts are not anchored. */
  readonly anchors?: AnchorSource;
  /** Asked for the verdict that an export tells; without it anchors are unchecked. */
  readonly anchorReader?: AnchorReader;
  /** Judges evidence of confidential hardware for the verdict that an export tells; without it that is unchecked. */
  readonly evidenceJudge?: EvidenceJudge;
  /** Absent where no snapshots are held. */
  readonly snapshots?: SnapshotSource;
}

/** Readable by others: a bundle is made to be shown. */
const FILE_MODE = 0o644;

/** Writes CARv1 bundles, and DSSE envelopes of in-toto statements, from the evidence of a finished job. */
export class CarBundleExporter implements BundleExporter {
  readonly #modules: CarBundleExporterModules;

  constructor(modules: CarBundleExporterModules) {
    this.#modules = modules;
  }

  async exportFile(
    material: BundleMaterial,
    request: BundleExportRequest,
    options: AbortOptions = {},
  ): Promise<ExportedBundle> {
    if (material.attempts.length === 0) throw new BundleError({ code: 'BUNDLE_NO_RESULT', job: material.job.id });
    const unrevealed = await selectUnrevealed(material);
    const listing = createBundle({ ...material, unrevealed }, UnixMs(this.#modules.clock.nowMs()));
    const proofs = await findProofBlobs(listing);
    const compared = await findComparedBlobs(listing);
    using _evidencePins = this.#pin([...proofs.keys(), ...compared.keys()]);
    const contents = { blobs: await this.#readEvidence([...compared, ...proofs]), snapshots: [] };
    const { accepted, receipts } = await assessEvidence(listing, {}, contents);
    using _pins = this.#pin(nameBlobs(material, receipts).map(({ blob }) => blob));
    const snapshots = await this.#findSnapshots(material, request);
    const named = [...nameBlobs(material, accepted?.receipts ?? receipts), ...nameProofs(proofs)];
    const blobs = await this.#listBlobs(named, request.content);
    const { anchors, waitingInBatches } = await this.#findAnchors(receipts, request, options);
    const bundle = fitRoot({
      ...listing,
      blobs,
      ...(snapshots.listed.length === 0 ? {} : { snapshots: [...snapshots.listed] }),
      ...(anchors.length === 0 ? {} : { anchors: [...anchors] }),
    });
    const assessment = await this.#assess(bundle, selectIncluded(bundle, contents), options);
    const content =
      request.format === 'bundle' ? this.#writeBundle(bundle, snapshots) : this.#writeStatement(material, assessment);
    const sizeBytes = await writeCounted(request.path, content);
    return {
      path: request.path,
      sizeBytes,
      verdict: assessment.verification.verdict,
      receipts: receipts.length,
      anchored: anchors.length,
      waitingInBatches,
      snapshots: snapshots.listed.length,
    };
  }

  /** What is not here, or is of another size than stated, is named without being in the file. */
  async #readEvidence(named: Iterable<readonly [BlobId, number]>): Promise<EvidenceBlobs> {
    const { blobs } = this.#modules;
    const found = new Map<BlobId, Uint8Array>();
    for (const [blob, sizeBytes] of named) {
      if ((await blobs.stat(blob))?.sizeBytes === sizeBytes) found.set(blob, await blobs.get(blob, sizeBytes));
    }
    return found;
  }

  async #findSnapshots(
    { job, attempts }: BundleMaterial,
    { format, snapshots: choice = 'none' }: BundleExportRequest,
  ): Promise<CollectedSnapshots> {
    if (choice === 'none' || format !== 'bundle') return NO_SNAPSHOTS;
    const { snapshots } = this.#modules;
    if (snapshots === undefined) throw new BundleError({ code: 'BUNDLE_NO_SNAPSHOTS' });
    const lines = await Promise.all(attempts.map(listLine));
    return await collectSnapshots(snapshots, lines, { job: JobId(job.id), choice });
  }

  async #findAnchors(
    receipts: readonly Signed<Receipt>[],
    { waitForAnchorMs }: BundleExportRequest,
    { signal = new AbortController().signal }: AbortOptions,
  ): Promise<CollectedAnchors> {
    const { anchors, clock } = this.#modules;
    if (anchors === undefined) {
      if (waitForAnchorMs !== undefined) throw new BundleError({ code: 'BUNDLE_NO_ANCHORING' });
      return { anchors: [], waitingInBatches: [] };
    }
    const ids = receipts.map(({ id }) => ObjectId(id));
    return await collectAnchors(anchors, ids, { forMs: waitForAnchorMs ?? 0, clock, signal });
  }

  async #assess(bundle: Bundle, contents: FileContents, { signal }: AbortOptions): Promise<Assessment> {
    const { anchorReader, evidenceJudge, clock } = this.#modules;
    const verifying = {
      nowMs: clock.nowMs(),
      ...(evidenceJudge === undefined ? {} : { evidenceJudge }),
      chainTimeoutMs: EXPORT_CHAIN_TIMEOUT_MS,
      ...(anchorReader === undefined ? {} : { anchorReader }),
      ...(signal === undefined ? {} : { signal }),
    };
    return await assessEvidence(bundle, verifying, contents);
  }

  #writeBundle(bundle: Bundle, snapshots: CollectedSnapshots): AsyncIterable<Uint8Array> {
    const { blobs } = this.#modules;
    const present = new Set(bundle.blobs.flatMap(({ blob, included }) => (included ? [blob] : [])));
    const read = (blob: BlobId, offset: number, length: number) => blobs.read(blob, offset, length);
    return writeBlocks(bundle, read, snapshots.blocks(present));
  }

  async *#writeStatement(material: BundleMaterial, assessment: Assessment): AsyncIterable<Uint8Array> {
    const { accepted, receipts, attested, verification } = assessment;
    if (accepted === undefined) throw new BundleError({ code: 'BUNDLE_NO_RESULT', job: material.job.id });
    const { identity, clock } = this.#modules;
    const statedAtMs = clock.nowMs();
    const payload = encodeStatement({ job: material.job, accepted, receipts, attested, verification, statedAtMs });
    const signature = await identity.sign(computePae(IN_TOTO_PAYLOAD_TYPE, payload));
    const signatures = [{ keyId: identity.peer, signature }];
    yield new TextEncoder().encode(encodeDsse({ payloadType: IN_TOTO_PAYLOAD_TYPE, payload, signatures }));
  }

  /** Blobs must not be evicted between listing and writing them. */
  #pin(blobs: readonly BlobId[]): Disposable {
    const stack = new DisposableStack();
    for (const blob of blobs) stack.use(this.#modules.blobs.pin(blob));
    return stack;
  }

  async #listBlobs(named: readonly NamedBlob[], content: BundleContent): Promise<Bundle['blobs']> {
    const listed = new Map<BlobId, Bundle['blobs'][number]>();
    for (const { blob, sizeBytes, role } of named) {
      const isWanted = role === 'proof' || content === 'everything' || (content === 'outputs' && role === 'output');
      const found = isWanted ? await this.#modules.blobs.stat(blob) : undefined;
      const included = found?.sizeBytes === sizeBytes || listed.get(blob)?.included === true;
      listed.set(blob, { blob, sizeBytes, included });
    }
    return [...listed.values()];
  }
}

/** What the file will have of it. */
function selectIncluded({ blobs: listed }: Bundle, { blobs, snapshots }: FileContents): FileContents {
  const included = new Set(listed.flatMap((entry) => (entry.included ? [entry.blob] : [])));
  return { blobs: new Map([...blobs].filter(([blob]) => included.has(blob))), snapshots };
}

interface NamedBlob {
  readonly blob: BlobId;
  readonly sizeBytes: number;
  readonly role: 'program' | 'input' | 'output' | 'proof';
}

function nameBlobs({ job }: BundleMaterial, receipts: readonly Signed<Receipt>[]): readonly NamedBlob[] {
  const { workload, inputs } = job.value;
  return [
    ...receipts.flatMap(({ value }) => value.result.outputs.map((file) => ({ ...file, role: 'output' as const }))),
    ...listProgramBlobs(workload).map(({ blob, sizeBytes }) => ({ blob, sizeBytes, role: 'program' as const })),
    ...inputs.map((input) => ({ ...input, role: 'input' as const })),
  ];
}

/** Of every attempt, dissenting ones too. */
function nameProofs(proofs: BlobSizes): readonly NamedBlob[] {
  return [...proofs].map(([blob, sizeBytes]) => ({ blob, sizeBytes, role: 'proof' }));
}

/** Leases that a replica's state went through, newest first. */
async function listLine({ lease, inherited = [] }: BundleAttempt): Promise<LeaseLine> {
  const wires = [lease, ...inherited.map((earlier) => earlier.lease).toReversed()];
  return await Promise.all(wires.map(async (wire) => LeaseId((await openSigned(LEASE, wire)).id)));
}

/** A set that lost a member before the first reveal is void: those who signed that one have no part in the last. */
async function selectUnrevealed(material: BundleMaterial): Promise<readonly UnrevealedReplica[]> {
  const selected: UnrevealedReplica[] = [];
  for (const replica of material.unrevealed ?? []) {
    const { id } = await openSigned(COMMITMENT, replica.commitment);
    if (material.commitmentSet?.commitments.includes(id) === true) selected.push(replica);
  }
  return selected;
}

function createBundle(material: BundleMaterial, exportedAtMs: UnixMs): Bundle {
  return {
    type: 'fogproof/bundle@1',
    job: material.job.wire,
    attempts: [...material.attempts],
    commitmentSet: material.commitmentSet,
    unrevealed: [...(material.unrevealed ?? [])],
    missingReplicas: [...material.missingReplicas],
    blobs: [],
    exportedAtMs,
  };
}

/** Bytes that were written. */
async function writeCounted(path: string, content: AsyncIterable<Uint8Array>): Promise<number> {
  let sizeBytes = 0;
  async function* count(): AsyncIterable<Uint8Array> {
    for await (const piece of content) {
      sizeBytes += piece.length;
      yield piece;
    }
  }
  try {
    await writeFileAtomic(path, count(), { mode: FILE_MODE, existing: 'replace' });
  } catch (error) {
    if (error instanceof DaemonError) throw error;
    throw new BundleError({ code: 'BUNDLE_WRITE_FAILED', path, reason: describeError(error) }, { cause: error });
  }
  return sizeBytes;
}
