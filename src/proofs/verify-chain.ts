/** Checks of a checkpoint chain, and of one signed checkpoint, against what was signed before. */
import type { Checkpoint, CheckpointChain } from '../domain/checkpoint.ts';
import type { Job } from '../domain/job.ts';
import type { Lease } from '../domain/lease.ts';
import type { Receipt } from '../domain/receipt.ts';
import type { Signed } from '../domain/signed.ts';
import { areBytesEqual } from '../lib/bytes.ts';
import { isDaemonError } from '../lib/errors.ts';
import {
  type ChainLink,
  type ChainOwner,
  computeCheckpointRoot,
  computeHeads,
  computeInputRoot,
  computeLinkHead,
  computeStartHead,
  decodeLinks,
  NO_PARENT,
} from './checkpoint-chain.ts';

export type ChainCheck =
  | 'job'
  | 'lease'
  | 'signer'
  | 'input-root'
  | 'links'
  | 'count'
  | 'start-step'
  | 'parent'
  | 'start-state'
  | 'steps'
  | 'previous'
  | 'head'
  | 'checkpoint-root';

export interface ChainProblem {
  readonly check: ChainCheck;
  /** A sentence without a full stop. */
  readonly detail: string;
}

export type Checked<Value> =
  | { readonly ok: true; readonly value: Value }
  | { readonly ok: false; readonly problem: ChainProblem };

export interface ChainContext {
  readonly job: { readonly id: string; readonly value: Pick<Job, 'workload' | 'inputs'> };
  readonly lease: { readonly id: string; readonly value: Pick<Lease, 'provider' | 'resume'> };
}

export interface OpenedChain {
  readonly start: CheckpointChain['start'];
  readonly startHead: Uint8Array;
  readonly links: readonly ChainLink[];
  /** H_1 … H_N, one for each link. */
  readonly heads: readonly Uint8Array[];
  readonly checkpointRoot: Uint8Array;
}

/**
 * Recomputes a chain and holds it against job and lease, and against the receipt where there is one. Never throws for
 * what a chain says.
 */
export function verifyChain(
  chain: CheckpointChain,
  context: ChainContext & { readonly receipt?: Pick<Receipt, 'checkpointRoot' | 'checkpointChain'> },
): Checked<OpenedChain> {
  const { job, lease, receipt } = context;
  if (chain.job !== job.id) return fail('job', `it is of the job ${chain.job}`);
  if (chain.lease !== lease.id) return fail('lease', `it is of the lease ${chain.lease}`);
  return guard('links', () => {
    if (!areBytesEqual(chain.inputRoot, computeInputRoot(job.value))) {
      return fail('input-root', 'it is over another module, seed or inputs');
    }
    const start = checkStart(chain.start, lease.value);
    if (start !== undefined) return { ok: false, problem: start };
    const opened = openChain(chain);
    const order = findDisorder(opened);
    if (order !== undefined) return fail('steps', order);
    return receipt === undefined ? { ok: true, value: opened } : checkReceipt(opened, receipt);
  });
}

function openChain(chain: CheckpointChain): OpenedChain {
  const owner: ChainOwner = chain;
  const { start, inputRoot } = chain;
  const startHead = computeStartHead(owner, inputRoot, start);
  const links = decodeLinks(chain.links);
  const heads = computeHeads(owner, startHead, links);
  return { start, startHead, links, heads, checkpointRoot: computeCheckpointRoot(heads, startHead) };
}

function checkStart(start: CheckpointChain['start'], { resume }: Pick<Lease, 'resume'>): ChainProblem | undefined {
  const step = resume?.step ?? 0;
  if (start.step !== step) return { check: 'start-step', detail: `it begins after step ${start.step}, not ${step}` };
  if (resume === undefined) {
    return start.parent === null ? undefined : { check: 'parent', detail: 'it names a parent, its lease names none' };
  }
  if (start.parent === null || !areBytesEqual(start.parent, resume.head)) {
    return { check: 'parent', detail: 'its parent is not the checkpoint that its lease names' };
  }
  if (!areBytesEqual(start.stateRoot, resume.stateRoot)) {
    return { check: 'start-state', detail: 'its first state is not the one that its lease names' };
  }
  return undefined;
}

function findDisorder({ start, links }: OpenedChain): string | undefined {
  let before = start.step;
  for (const [index, { step }] of links.entries()) {
    if (step <= before) return `link ${index + 1} is of step ${step}, the one before of step ${before}`;
    before = step;
  }
  return undefined;
}

function checkReceipt(
  opened: OpenedChain,
  { checkpointRoot, checkpointChain }: Pick<Receipt, 'checkpointRoot' | 'checkpointChain'>,
): Checked<OpenedChain> {
  if (checkpointRoot === null || !areBytesEqual(opened.checkpointRoot, checkpointRoot)) {
    return fail('checkpoint-root', 'its root is not the one that the receipt signs');
  }
  if (checkpointChain !== undefined && checkpointChain.links !== opened.links.length) {
    return fail('count', `it has ${opened.links.length} links, the receipt says ${checkpointChain.links}`);
  }
  return { ok: true, value: opened };
}

/** What is known of the link before; null where nothing is: the checkpoint is the first that is seen. */
export type PreviousLink = Pick<Checkpoint, 'index' | 'step' | 'head'> | null;

export interface CheckpointContext extends ChainContext {
  readonly previous: PreviousLink;
}

/**
 * Holds an opened checkpoint against job, lease and the one seen before it. Its own head is recomputed in any case; that
 * it follows on `previous` is known only where that one is its neighbour. Never throws for what a checkpoint says.
 */
export function verifyCheckpoint(
  checkpoint: Pick<Signed<Checkpoint>, 'signer' | 'value'>,
  context: CheckpointContext,
): Checked<Checkpoint> {
  const { value, signer } = checkpoint;
  const { job, lease } = context;
  if (value.job !== job.id) return fail('job', `it is of the job ${value.job}`);
  if (value.lease !== lease.id) return fail('lease', `it is of the lease ${value.lease}`);
  if (signer !== lease.value.provider || value.provider !== signer) {
    return fail('signer', `it is signed by ${signer} for ${value.provider}, its lease is with ${lease.value.provider}`);
  }
  return guard('head', () => {
    const problem = value.index === 0 ? checkFirst(value, context) : checkLink(value, context.previous);
    return problem === undefined ? { ok: true, value } : { ok: false, problem };
  });
}

function checkFirst(value: Checkpoint, { job, lease, previous }: CheckpointContext): ChainProblem | undefined {
  if (previous !== null) return wrong('previous', `it is the start of a chain, after link ${previous.index}`);
  if (!areBytesEqual(value.previous, NO_PARENT)) return wrong('previous', 'the start of a chain has none before it');
  const start = { step: value.step, parent: lease.value.resume?.head ?? null, stateRoot: value.stateRoot };
  const wrongStart = checkStart(start, lease.value);
  if (wrongStart !== undefined) return wrongStart;
  const head = computeStartHead(value, computeInputRoot(job.value), start);
  return areBytesEqual(head, value.head) ? undefined : wrong('head', 'its head is not the hash of what it says');
}

function checkLink(value: Checkpoint, previous: PreviousLink): ChainProblem | undefined {
  if (previous !== null) {
    if (value.index <= previous.index) return wrong('previous', `link ${value.index} comes after ${previous.index}`);
    if (value.step <= previous.step) return wrong('steps', `step ${value.step} comes after step ${previous.step}`);
    if (value.index === previous.index + 1 && !areBytesEqual(value.previous, previous.head)) {
      return wrong('previous', `link ${value.index} does not follow on the head of link ${previous.index}`);
    }
  }
  const head = computeLinkHead(value, value.previous, value);
  return areBytesEqual(head, value.head) ? undefined : wrong('head', 'its head is not the hash of what it says');
}

function wrong(check: ChainCheck, detail: string): ChainProblem {
  return { check, detail };
}

function fail(check: ChainCheck, detail: string): { readonly ok: false; readonly problem: ChainProblem } {
  return { ok: false, problem: { check, detail } };
}

/** What cannot be decoded is a problem of the chain, not of its verifier. */
function guard<Value>(check: ChainCheck, run: () => Checked<Value>): Checked<Value> {
  try {
    return run();
  } catch (error) {
    if (isDaemonError(error)) return fail(check, error.message);
    throw error;
  }
}
