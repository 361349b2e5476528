import type { Outcome } from '../../src/domain/receipt.ts';
import { SNAPSHOT_PIECE_BYTES, type SnapshotState } from '../../src/domain/snapshot.ts';
import { areBytesEqual, concatBytes, encodeU64 } from '../../src/lib/bytes.ts';
import { sha256 } from '../../src/lib/cid.ts';
import { encodeHostState } from '../../src/proofs/host-state.ts';
import { DIGEST_BYTES, listPieces } from '../../src/proofs/state-pieces.ts';
import { computeStateRoot } from '../../src/proofs/state-root.ts';
import type { CheckpointOrder, StateCheckpoint } from '../../src/sandbox/interface.ts';
import type { HeldExecution } from './provider-executor.ts';

const METRICS_HASH = new Uint8Array(32).fill(1);
const PAGES = 3;

interface Page {
  readonly bytes: Uint8Array;
  readonly digest: Uint8Array;
}

/** Programs of all tests go through the same few pages. */
const pages = new Map<number, Page>();
const MAX_PAGES = 64;

function pageOf(value: number): Page {
  const known = pages.get(value);
  if (known !== undefined) return known;
  const bytes = new Uint8Array(SNAPSHOT_PIECE_BYTES);
  bytes.set(encodeU64(value), 0);
  const page = { bytes, digest: sha256(bytes) };
  const [oldest] = pages.keys();
  if (pages.size >= MAX_PAGES && oldest !== undefined) pages.delete(oldest);
  pages.set(value, page);
  return page;
}

const [UNTOUCHED, ZEROS] = [pageOf(7), pageOf(0)];

/** Pages of a program that changes one page at each step, and never touches another; the third is zeros. */
function pagesAt(step: number, salt: number): readonly Page[] {
  return [pageOf(1_000_000 + step * 1_000 + salt), UNTOUCHED, ZEROS];
}

/** The state of such a program after a step. Another salt is a program that computes otherwise. */
export function stateAt(step: number, { salt = 0, isDone = false } = {}): SnapshotState {
  const host = encodeHostState({
    isDone,
    steps: step,
    fuel: step * 10,
    randomBytes: 0,
    outputBytes: 0,
    logBytes: 0,
    logs: 0,
    metrics: 0,
    pages: PAGES,
    isOutputWritten: false,
    nextCheckpointFuel: 0,
    metricsHash: METRICS_HASH,
  });
  const digests = concatBytes(...pagesAt(step, salt).map(({ digest }) => digest));
  return { kind: 'memory', host, globals: new Uint8Array(), pages: digests, output: new Uint8Array() };
}

export interface StepPlan {
  /** The program is done after so many steps. */
  readonly steps: number;
  /** A checkpoint after every so many. */
  readonly every: number;
  /** From this step on it computes otherwise. */
  readonly differsFrom?: number;
  /** What becomes of the bytes of a piece on their way. */
  readonly convey?: (bytes: Uint8Array) => Uint8Array | Promise<Uint8Array>;
  /** Its state is that of files, and never changes. */
  readonly hasFiles?: boolean;
  /** Waited for before a step is made. */
  readonly before?: (step: number) => Promise<void> | void;
  /** How it ends, if not well. */
  readonly outcome?: Outcome;
}

/** What a run gave its host and was ordered, as far as tests look at it. */
export interface StepRun {
  /** Step that it began at, and those at which it was given an order. */
  readonly beganAt: number;
  readonly ordered: { readonly step: number; readonly wanted: number }[];
  isHalted: boolean;
}

/** Runs a plan as an executor would, from the state that the task names. Never rejects: an error ends the execution. */
export async function runSteps(execution: HeldExecution, plan: StepPlan): Promise<StepRun> {
  const { task } = execution;
  const run: StepRun = { beganAt: task.resume?.step ?? 0, ordered: [], isHalted: false };
  try {
    if (task.resume !== null) await checkResume(execution);
    await give(execution, plan, { run, step: run.beganAt, place: 'start' });
    for (let step = run.beganAt + 1; step <= plan.steps && !run.isHalted; step += 1) {
      await plan.before?.(step);
      if (execution.signal.aborted) return run;
      const isEnd = step === plan.steps && plan.outcome === undefined;
      if (isEnd) await give(execution, plan, { run, step, place: 'end' });
      else if (step % plan.every === 0) await give(execution, plan, { run, step, place: 'middle' });
    }
    finish(execution, plan, run);
  } catch (error) {
    execution.crash(error as Error);
  }
  return run;
}

function finish(execution: HeldExecution, { steps, outcome }: StepPlan, { isHalted }: StepRun): void {
  const paused: Outcome = { kind: 'attempt-failed', code: 'PAUSED', detail: 'halted' };
  const failed = isHalted ? paused : outcome;
  execution.finish(failed === undefined ? { steps, fuel: steps * 10 } : { outcome: failed, outputs: [] });
}

/** The state that it is to go on from has to be whole, and the one that this program had. */
async function checkResume({ task }: HeldExecution): Promise<void> {
  const { resume } = task;
  if (resume === null) return;
  const pieces: Uint8Array[] = [];
  for await (const piece of resume.pieces) pieces.push(sha256(piece));
  if (!areBytesEqual(concatBytes(...pieces), listPieces(resume.state))) throw new TypeError('other pieces');
}

async function give(
  execution: HeldExecution,
  plan: StepPlan,
  { run, step, place }: { readonly run: StepRun; readonly step: number; readonly place: StateCheckpoint['place'] },
): Promise<void> {
  const salt = step >= (plan.differsFrom ?? Number.POSITIVE_INFINITY) ? 1 : 0;
  const state: SnapshotState =
    plan.hasFiles === true ? { kind: 'files', files: [] } : stateAt(step, { salt, isDone: place === 'end' });
  const pieces = listPieces(state);
  const checkpoint: StateCheckpoint = {
    step,
    fuel: step * 10,
    place,
    stateRoot: computeStateRoot(state),
    metricsHash: METRICS_HASH,
    ordinal: 0,
    state,
    pieces,
  };
  const order = await execution.sink.checkpoint(checkpoint);
  run.ordered.push({ step, wanted: order.wanted.length });
  await handOut(order, { pieces, pages: pagesAt(step, salt), convey: plan.convey ?? ((bytes) => bytes) });
  run.isHalted = order.then === 'halt';
}

async function handOut(
  order: CheckpointOrder,
  held: {
    readonly pieces: Uint8Array;
    readonly pages: readonly Page[];
    readonly convey: (bytes: Uint8Array) => Uint8Array | Promise<Uint8Array>;
  },
): Promise<void> {
  for (const place of order.wanted) {
    const digest = held.pieces.subarray(place * DIGEST_BYTES, (place + 1) * DIGEST_BYTES);
    const page = held.pages.find((candidate) => areBytesEqual(candidate.digest, digest));
    if (page === undefined) throw new TypeError(`no piece ${place}`);
    await order.receive(place, await held.convey(page.bytes));
  }
  await order.complete();
}
