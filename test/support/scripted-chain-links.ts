import { CHECKPOINT_CHAIN, type Checkpoint } from '../../src/domain/checkpoint.ts';
import { type BlobId, JobId, LeaseId, UnixMs } from '../../src/domain/ids.ts';
import type { Job } from '../../src/domain/job.ts';
import type { Lease } from '../../src/domain/lease.ts';
import { encodeObject } from '../../src/domain/object-type.ts';
import type { Signed } from '../../src/domain/signed.ts';
import { encodeUtf8 } from '../../src/lib/bytes.ts';
import { computeRawCid, sha256 } from '../../src/lib/cid.ts';
import {
  type ChainLink,
  computeCheckpointRoot,
  computeHeads,
  computeInputRoot,
  computeLinkHead,
  computeStartHead,
  encodeLinks,
  NO_PARENT,
} from '../../src/proofs/checkpoint-chain.ts';

/** State root after a step: equal for every honest provider. */
export const stateRootAt = (step: number): Uint8Array => sha256(encodeUtf8(`state ${step}`));
export const metricsHashAt = (step: number): Uint8Array => sha256(encodeUtf8(`metrics ${step}`));
export const FUEL_PER_STEP = 10;

export interface ScriptedLink extends ChainLink {
  readonly fuel: number;
  readonly head: Uint8Array;
  readonly previous: Uint8Array;
}

/** The chain that one attempt makes, link by link, as an honest provider does. */
export class ScriptedChain {
  readonly #job: Signed<Job>;
  readonly #lease: Signed<Lease>;
  readonly #inputRoot: Uint8Array;
  readonly #startHead: Uint8Array;
  readonly links: ScriptedLink[] = [];
  isEnded = false;

  constructor(job: Signed<Job>, lease: Signed<Lease>) {
    this.#job = job;
    this.#lease = lease;
    this.#inputRoot = computeInputRoot(job.value);
    this.#startHead = computeStartHead(this.#owner, this.#inputRoot, this.#start);
  }

  get #owner() {
    return { job: JobId(this.#job.id), lease: LeaseId(this.#lease.id) };
  }

  get #start() {
    const { resume } = this.#lease.value;
    const step = resume?.step ?? 0;
    return { step, parent: resume?.head ?? null, stateRoot: stateRootAt(step) };
  }

  /** Link 0, which the provider tells before the first of the others. */
  describeStart(atMs: number): Checkpoint {
    const { step, stateRoot } = this.#start;
    return this.#describe({ index: 0, previous: NO_PARENT, head: this.#startHead, step, stateRoot, atMs }, null);
  }

  get lastStep(): number {
    return this.links.at(-1)?.step ?? this.#start.step;
  }

  add(step: number, atMs: number): ScriptedLink {
    const previous = this.links.at(-1)?.head ?? this.#startHead;
    const link = { step, stateRoot: stateRootAt(step), metricsHash: metricsHashAt(step), atMs: UnixMs(atMs) };
    const head = computeLinkHead(this.#owner, previous, link);
    const made = { ...link, fuel: step * FUEL_PER_STEP, head, previous };
    this.links.push(made);
    return made;
  }

  end(step: number, atMs: number): void {
    this.add(step, atMs);
    this.isEnded = true;
  }

  /** The newest link as it is signed. */
  describeLast(withSnapshot: 'snapshot' | 'bare'): Checkpoint {
    const link = this.links.at(-1);
    if (link === undefined) throw new Error('no link');
    const snapshot = withSnapshot === 'bare' ? null : describeSnapshot(this.#lease, link.step);
    return this.#describe({ index: this.links.length, ...link }, snapshot);
  }

  #describe(
    link: Pick<Checkpoint, 'index' | 'previous' | 'head' | 'step' | 'stateRoot'> & { readonly atMs: number },
    snapshot: Checkpoint['snapshot'],
  ): Checkpoint {
    const { index, previous, head, step, stateRoot, atMs } = link;
    return {
      type: 'fogproof/checkpoint@1',
      ...this.#owner,
      provider: this.#lease.value.provider,
      index,
      step,
      previous,
      head,
      stateRoot,
      metricsHash: metricsHashAt(step),
      fuel: step * FUEL_PER_STEP,
      atMs: UnixMs(atMs),
      snapshot,
    };
  }

  encode(): { readonly bytes: Uint8Array; readonly root: Uint8Array; readonly links: number } {
    const heads = computeHeads(this.#owner, this.#startHead, this.links);
    const bytes = encodeObject(CHECKPOINT_CHAIN, {
      type: 'fogproof/checkpoint-chain@1',
      ...this.#owner,
      inputRoot: this.#inputRoot,
      start: this.#start,
      links: encodeLinks(this.links),
    });
    return { bytes, root: computeCheckpointRoot(heads, this.#startHead), links: this.links.length };
  }
}

export function describeSnapshot(lease: Signed<Lease>, step: number): NonNullable<Checkpoint['snapshot']> {
  const blob = computeRawCid(encodeUtf8(`snapshot ${lease.id} ${step}`)).toString() as BlobId;
  return { blob, sizeBytes: 100 };
}
