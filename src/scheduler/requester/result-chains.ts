import type { BlobStore } from '../../blob/interface.ts';
import { CHECKPOINT_CHAIN, type Checkpoint } from '../../domain/checkpoint.ts';
import type { LeaseId } from '../../domain/ids.ts';
import type { Job } from '../../domain/job.ts';
import type { Lease } from '../../domain/lease.ts';
import type { InlineBlob } from '../../domain/messages.ts';
import { decodeObject } from '../../domain/object-type.ts';
import type { Receipt } from '../../domain/receipt.ts';
import type { Signed } from '../../domain/signed.ts';
import { createDeadline } from '../../lib/abort.ts';
import { areBytesEqual } from '../../lib/bytes.ts';
import { type OpenedChain, verifyChain } from '../../proofs/verify-chain.ts';
import { CHAIN_TIMEOUT_MS } from '../constants.ts';
import type { BlobFetching } from '../transfer/interface.ts';
import type { AttemptCase } from './attempt-case.ts';
import { type Checked, checkOpened, checkRules, invalid, valid } from './checked.ts';
import { collectOutputs } from './collect-outputs.ts';

const CHAIN_INVALID = 'CHECKPOINT_CHAIN_INVALID';

export interface ChainClaim {
  readonly job: Signed<Job>;
  readonly lease: Signed<Lease>;
  readonly receipt: Receipt;
  /** The newest checkpoint that was told while the attempt ran; null if none was. */
  readonly newest: Checkpoint | null;
  /** Those that were told of which the next one was not: the newest does not stand for them. */
  readonly beforeGaps?: readonly Pick<Checkpoint, 'index' | 'head'>[];
}

/**
 * A result's chain (docs/stepping.md section 5): it gives the root that the receipt signs, begins with what the requester
 * saw signed while the attempt ran, keeps to the job's schedule, and ends with the state that the result is of.
 */
export async function checkChain(bytes: Uint8Array, claim: ChainClaim): Promise<Checked<null>> {
  const decoded = await checkOpened(CHAIN_INVALID, async () => decodeObject(CHECKPOINT_CHAIN, bytes));
  if (decoded.kind === 'invalid') return decoded;
  const verified = verifyChain(decoded.value, claim);
  if (!verified.ok) return invalid(CHAIN_INVALID, verified.problem.detail);
  const chain = verified.value;
  const { newest, beforeGaps = [], receipt } = claim;
  const told = newest === null ? beforeGaps : [...beforeGaps, newest];
  const { outcome, steps, metricsHash } = receipt.result;
  const last = chain.links.at(-1);
  const isStepping = claim.job.value.checkpoints?.schedule.kind !== 'rounds';
  const isFinal =
    outcome.kind !== 'completed' ||
    (last !== undefined && last.step === steps && areBytesEqual(last.metricsHash, metricsHash));
  return checkRules(CHAIN_INVALID, null, [
    [
      told.every(({ index, head }) => areBytesEqual(headAt(chain, index), head)),
      'it is not the chain that was told while it ran',
    ],
    [!isStepping || isFinal, 'it does not end with the state of the result'],
    [keepsSchedule(chain, claim), 'its links are not at the steps that the job names'],
  ]);
}

function headAt({ startHead, heads }: OpenedChain, index: number): Uint8Array {
  return (index === 0 ? startHead : heads[index - 1]) ?? new Uint8Array();
}

/** All but the last link fall on the schedule; fuel is not in the chain, so only steps and rounds can be told. */
function keepsSchedule({ start, links }: OpenedChain, { job }: ChainClaim): boolean {
  const { schedule } = job.value.checkpoints ?? {};
  if (schedule === undefined) return false;
  if (schedule.kind === 'fuel') return true;
  let before = start.step;
  return links.slice(0, -1).every(({ step }) => {
    const next = (Math.floor(before / schedule.every) + 1) * schedule.every;
    before = step;
    return schedule.kind === 'steps' ? step === next : step >= next;
  });
}

export interface ResultChainModules {
  readonly transfers: BlobFetching;
  readonly blobs: BlobStore;
  readonly newest: (lease: LeaseId) => Checkpoint | null;
  readonly beforeGaps: (lease: LeaseId) => AsyncIterable<{ readonly value: Checkpoint }>;
}

export interface ChainFault {
  readonly lease: LeaseId;
  readonly code: string;
  readonly reason: string;
}

/** Brings the chains of revealed results here and checks each once. */
export class ResultChains {
  readonly #modules: ResultChainModules;
  readonly #job: Signed<Job>;
  readonly #checked = new Set<LeaseId>();

  constructor(modules: ResultChainModules, options: { readonly job: Signed<Job> }) {
    this.#modules = modules;
    this.#job = options.job;
  }

  /** Those whose chain is missing or false: their results do not count. */
  async findFaults(attempts: readonly AttemptCase[], options: { readonly signal: AbortSignal }): Promise<ChainFault[]> {
    const fresh = attempts.filter(({ id }) => !this.#checked.has(id));
    const faults = await Promise.all(
      fresh.map(async (attempt) => {
        const checked = await this.#check(attempt, options.signal);
        if (checked.kind === 'invalid') return [{ lease: attempt.id, code: checked.code, reason: checked.reason }];
        this.#checked.add(attempt.id);
        return [];
      }),
    );
    return faults.flat();
  }

  async #check({ id, lease, receipt, inlineBlobs }: AttemptCase, signal: AbortSignal): Promise<Checked<null>> {
    const named = receipt?.value.checkpointChain;
    if (receipt === null || named === undefined) return valid(null);
    if (named.sizeBytes > CHECKPOINT_CHAIN.maxBytes)
      return invalid(CHAIN_INVALID, 'it is larger than any chain can be');
    const missing = await this.#collect(named, { provider: lease.value.provider, inlineBlobs }, signal);
    if (missing !== null) return invalid('CHECKPOINT_CHAIN_UNAVAILABLE', missing);
    const bytes = await this.#modules.blobs.get(named.blob, CHECKPOINT_CHAIN.maxBytes);
    const newest = this.#modules.newest(id);
    const beforeGaps: Pick<Checkpoint, 'index' | 'head'>[] = [];
    for await (const { value } of this.#modules.beforeGaps(id)) {
      beforeGaps.push({ index: value.index, head: value.head.slice() });
    }
    return checkChain(bytes, { job: this.#job, lease, receipt: receipt.value, newest, beforeGaps });
  }

  /** Null once it is in the store, else why not. */
  async #collect(
    { blob, sizeBytes }: NonNullable<Receipt['checkpointChain']>,
    source: { readonly provider: Lease['provider']; readonly inlineBlobs: readonly InlineBlob[] },
    signal: AbortSignal,
  ): Promise<string | null> {
    using deadline = createDeadline(CHAIN_TIMEOUT_MS, signal);
    const request = { outputs: [{ path: '/checkpoints', blob, sizeBytes }], sources: [source] };
    try {
      const collected = await collectOutputs(this.#modules, request, { signal: deadline.signal });
      return collected.kind === 'collected' ? null : collected.reason;
    } catch (error) {
      signal.throwIfAborted();
      if (!deadline.signal.aborted) throw error;
      return 'it did not arrive in time';
    }
  }
}
