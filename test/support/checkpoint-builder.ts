import type { FileContents } from '../../src/bundle/verify.ts';
import type { BundleAttempt } from '../../src/domain/bundle.ts';
import { CHECKPOINT, CHECKPOINT_CHAIN, type Checkpoint, type CheckpointChain } from '../../src/domain/checkpoint.ts';
import { BlobId, JobId, LeaseId, UnixMs } from '../../src/domain/ids.ts';
import type { Job } from '../../src/domain/job.ts';
import { LEASE, LEASE_ACCEPTANCE, type Lease } from '../../src/domain/lease.ts';
import { encodeObject } from '../../src/domain/object-type.ts';
import type { Receipt } from '../../src/domain/receipt.ts';
import type { Signed } from '../../src/domain/signed.ts';
import type { LocalIdentity } from '../../src/identity/local-identity.ts';
import { encodeUtf8 } from '../../src/lib/bytes.ts';
import { computeRawCid, sha256 } from '../../src/lib/cid.ts';
import {
  type ChainLink,
  type ChainStart,
  computeCheckpointRoot,
  computeHeads,
  computeInputRoot,
  computeStartHead,
  encodeLinks,
  NO_PARENT,
} from '../../src/proofs/checkpoint-chain.ts';
import { signObject } from '../../src/proofs/signed-object.ts';

type Change<Value> = (value: Value, index: number) => Value;

/** Changes made before something is signed or hashed, by a party that lies with its own key. */
export interface CheckpointLies {
  /** The links, before heads and root are computed from them. */
  readonly links?: Change<readonly ChainLink[]>;
  readonly start?: Change<ChainStart>;
  /** The chain as it is stored; its root is that of the honest one. */
  readonly chain?: Change<CheckpointChain>;
  /** What the lease names; called for the attempt's own lease alone. */
  readonly resume?: Change<NonNullable<Lease['resume']>>;
  /** Of an inherited attempt, by its place in the line. */
  readonly inheritedLease?: Change<Lease>;
  readonly inheritedCheckpoint?: Change<Checkpoint>;
  readonly inherited?: Change<NonNullable<BundleAttempt['inherited']>>;
}

export interface CheckpointPlan {
  /** Steps between checkpoints of a run of ten steps. */
  readonly every: number;
  /** Parties that ran before, each for one checkpoint, oldest first. */
  readonly before?: readonly LocalIdentity[];
  readonly lies?: CheckpointLies;
}

const keep = <Value>(value: Value): Value => value;

export function stateRootOf(step: number): Uint8Array {
  return sha256(encodeUtf8(`state after ${step}`));
}

function linkOf(
  step: number,
  { steps, metricsHash }: Pick<Receipt['result'], 'steps' | 'metricsHash'>,
  atMs: number,
): ChainLink {
  const isLast = step === steps;
  return {
    step,
    stateRoot: stateRootOf(step),
    metricsHash: isLast ? metricsHash : sha256(encodeUtf8(`metrics after ${step}`)),
    atMs: UnixMs(atMs + step),
  };
}

export interface BuiltLine {
  /** What the attempt's own lease goes on from. */
  readonly resume: Lease['resume'];
  readonly inherited: BundleAttempt['inherited'];
}

/** The earlier attempts of a replica, each of which made a start and one further checkpoint. */
export async function buildLine(
  job: Signed<Job>,
  template: Lease,
  {
    plan,
    requester,
    atMs,
  }: { readonly plan: CheckpointPlan; readonly requester: LocalIdentity; readonly atMs: number },
): Promise<BuiltLine> {
  const { before = [], every, lies = {} } = plan;
  const inputRoot = computeInputRoot(job.value);
  const inherited: NonNullable<BundleAttempt['inherited']> = [];
  let resume: Lease['resume'];
  for (const [index, party] of before.entries()) {
    const honest: Lease = {
      ...template,
      provider: party.peer,
      attempt: index,
      ...(resume === undefined ? {} : { resume }),
    };
    const lease = await signObject(LEASE, (lies.inheritedLease ?? keep)(honest, index), requester);
    const id = LeaseId(lease.id);
    const owner = { job: JobId(job.id), lease: id };
    const step = index * every;
    const start: ChainStart = { step, parent: resume?.head ?? null, stateRoot: stateRootOf(step) };
    const startHead = computeStartHead(owner, inputRoot, start);
    const link = linkOf(step + every, { steps: -1, metricsHash: new Uint8Array(32) }, atMs);
    const [head = startHead] = computeHeads(owner, startHead, [link]);
    const shared = {
      type: 'fogproof/checkpoint@1',
      ...owner,
      provider: party.peer,
      fuel: 100,
      snapshot: null,
    } as const;
    const checkpoints: Checkpoint[] = [
      {
        ...shared,
        index: 0,
        step,
        previous: NO_PARENT,
        head: startHead,
        stateRoot: start.stateRoot,
        metricsHash: link.metricsHash,
        atMs: link.atMs,
      },
      { ...shared, ...link, index: 1, previous: startHead, head },
    ];
    const acceptance = { type: 'fogproof/lease-acceptance@1', lease: id, provider: party.peer } as const;
    inherited.push({
      lease: lease.wire,
      acceptance: (await signObject(LEASE_ACCEPTANCE, { ...acceptance, acceptedAtMs: template.issuedAtMs }, party))
        .wire,
      checkpoints: await Promise.all(
        checkpoints.map(async (checkpoint, place) => {
          const told = (lies.inheritedCheckpoint ?? keep)(checkpoint, place);
          return (await signObject(CHECKPOINT, told, party)).wire;
        }),
      ),
    });
    const snapshot = { blob: BlobId(computeRawCid(head).toString()), sizeBytes: 1000 };
    resume = { lease: id, step: link.step, head, stateRoot: link.stateRoot, snapshot, holder: requester.peer };
  }
  const told = (lies.inherited ?? keep)(inherited, 0);
  return {
    resume: resume === undefined ? undefined : (lies.resume ?? keep)(resume, 0),
    inherited: told.length === 0 ? undefined : told,
  };
}

export interface BuiltChain {
  readonly checkpointRoot: Uint8Array;
  readonly checkpointChain: NonNullable<Receipt['checkpointChain']>;
  readonly bytes: Uint8Array;
}

/** The chain of the attempt itself, from where its lease begins to the end of its run. */
export function buildChain(
  job: Signed<Job>,
  lease: Signed<Lease>,
  { plan, result, atMs }: { readonly plan: CheckpointPlan; readonly result: Receipt['result']; readonly atMs: number },
): BuiltChain {
  const { every, lies = {} } = plan;
  const owner = { job: JobId(job.id), lease: LeaseId(lease.id) };
  const inputRoot = computeInputRoot(job.value);
  const { resume } = lease.value;
  const first = resume?.step ?? 0;
  const start = (lies.start ?? keep)(
    { step: first, parent: resume?.head ?? null, stateRoot: resume?.stateRoot ?? stateRootOf(first) },
    0,
  );
  const steps: number[] = [];
  for (let step = first + every; step < result.steps; step += every) steps.push(step);
  steps.push(result.steps);
  const links = (lies.links ?? keep)(
    steps.map((step) => linkOf(step, result, atMs)),
    0,
  );
  const startHead = computeStartHead(owner, inputRoot, start);
  const chain: CheckpointChain = {
    type: 'fogproof/checkpoint-chain@1',
    ...owner,
    inputRoot,
    start,
    links: encodeLinks(links),
  };
  const bytes = encodeObject(CHECKPOINT_CHAIN, (lies.chain ?? keep)(chain, 0));
  return {
    checkpointRoot: computeCheckpointRoot(computeHeads(owner, startHead, links), startHead),
    checkpointChain: { blob: BlobId(computeRawCid(bytes).toString()), sizeBytes: bytes.length, links: links.length },
    bytes,
  };
}

/** What a file holds besides its root, for an assessment without a file. */
export function contentsOf(blobs: ReadonlyMap<BlobId, Uint8Array>): FileContents {
  return { blobs, snapshots: [] };
}
