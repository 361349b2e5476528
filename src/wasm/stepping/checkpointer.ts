import type { SnapshotState } from '../../domain/snapshot.ts';
import { PAGE_BYTES } from '../constants.ts';
import type { ProgramContext } from '../runtime/program-context.ts';
import { halt, ProgramHalt } from '../runtime/program-halt.ts';
import type { CheckpointPlan } from './checkpoint-plan.ts';
import { DigestList } from './digests.ts';
import type { GlobalState } from './global-state.ts';
import { encodeHostState } from './host-state.ts';
import type { CapturedState } from './interface.ts';
import { getZeroDigest, PageDigests } from './page-digests.ts';
import { indexPieces, type PieceIndex } from './piece-index.ts';
import type { ProgramOutput } from './program-output.ts';
import { hashLeaf, StateTree } from './state-tree.ts';

/** Tags of leaves (docs/stepping.md section 3.5). */
const LEAF = { host: 0x01, globals: 0x02, page: 0x03, output: 0x05 } as const;
/** Leaves in front of the pages. */
const HEAD_LEAVES = 2;

export interface CheckpointerModules {
  readonly context: ProgramContext;
  readonly globals: GlobalState;
  readonly output: ProgramOutput;
  readonly plan: CheckpointPlan;
}

/** Takes the state of a stepping module at its checkpoints and hands it to the host (docs/stepping.md sections 2 and 3). */
export class Checkpointer {
  private readonly modules: CheckpointerModules;
  private readonly pages = new PageDigests();
  private readonly pieces = new DigestList();
  private readonly tree = new StateTree();
  private zeroLeaf: Uint8Array | null = null;
  /** Bytes of output in the leaves so far. */
  private knownOutput = 0;

  constructor(modules: CheckpointerModules) {
    this.modules = modules;
  }

  /** Before the first step. */
  start(isDone: boolean): void {
    this.make('start', isDone);
  }

  /** Behind a step that returned 0 or 1. */
  afterStep(isDone: boolean): void {
    const { context, plan } = this.modules;
    const isDue = plan.advance(context.step, context.fuelUsed);
    if (isDone) this.make('end', true);
    else if (isDue) this.make('middle', false);
  }

  private make(place: CapturedState['place'], isDone: boolean): void {
    const { context } = this.modules;
    // What ran has used more than there was: the program fails here, with a checkpoint or without one.
    if (context.fuelLeft < 0n) halt('OUT_OF_FUEL', '');
    if (context.sink.checkpoint(this.capture(place, isDone)) === 'halt') throw new ProgramHalt({ kind: 'paused' });
  }

  private capture(place: CapturedState['place'], isDone: boolean): CapturedState {
    const { context, globals, output } = this.modules;
    const memory = context.memory.whole;
    const host = this.encodeHost(isDone, memory.length / PAGE_BYTES);
    const globalBytes = globals.read();
    this.updateTree(memory, host, globalBytes);
    const state: SnapshotState = {
      kind: 'memory',
      host,
      globals: globalBytes,
      pages: this.pages.digests.view,
      output: this.pieces.view,
    };
    let index: PieceIndex | null = null;
    const pageCount = this.pages.digests.length;
    const getIndex = (): PieceIndex => (index ??= indexPieces(state.pages, state.output));
    return {
      step: context.step,
      fuel: context.fuelUsed,
      place,
      stateRoot: this.tree.computeRoot(),
      metricsHash: context.metricsHash,
      ordinal: context.ordinal,
      state,
      get pieces() {
        return getIndex().digests;
      },
      readPiece: (piece) => {
        const position = getIndex().firsts[piece];
        if (position === undefined) throw new RangeError(`no piece ${piece}`);
        if (position >= pageCount) return output.piece(position - pageCount);
        return memory.subarray(position * PAGE_BYTES, (position + 1) * PAGE_BYTES);
      },
    };
  }

  private encodeHost(isDone: boolean, pages: number): Uint8Array {
    const { context, output, plan } = this.modules;
    const { counts } = context;
    return encodeHostState({
      isDone,
      steps: counts.step,
      fuel: counts.fuelUsed,
      randomBytes: counts.randomBytes,
      outputBytes: output.length,
      logBytes: counts.logBytes,
      logs: counts.logs,
      metrics: counts.metrics,
      pages,
      isOutputWritten: output.isWritten,
      nextFuel: plan.nextFuel,
      metricsHash: counts.metricsHash,
    });
  }

  private updateTree(memory: Uint8Array, host: Uint8Array, globals: Uint8Array): void {
    const { tree, pages, pieces } = this;
    const { output } = this.modules;
    const knownPages = pages.digests.length;
    const pageCount = memory.length / PAGE_BYTES;
    const pieceCount = Math.ceil(output.length / PAGE_BYTES);
    tree.resize(HEAD_LEAVES + pageCount + pieceCount);
    tree.set(0, hashLeaf(LEAF.host, host));
    tree.set(1, hashLeaf(LEAF.globals, globals));
    pages.update(memory, (page) => tree.set(HEAD_LEAVES + page, this.hashPageLeaf(page)));
    pieces.grow(pieceCount, getZeroDigest());
    const firstNew = Math.floor(this.knownOutput / PAGE_BYTES);
    // Growing memory moves the leaves of the output.
    const firstMoved = pageCount === knownPages ? firstNew : 0;
    for (let piece = firstMoved; piece < pieceCount; piece++) {
      if (piece >= firstNew) pieces.hashAt(piece, output.piece(piece));
      tree.set(HEAD_LEAVES + pageCount + piece, hashLeaf(LEAF.output, pieces.at(piece)));
    }
    this.knownOutput = output.length;
  }

  private hashPageLeaf(page: number): Uint8Array {
    const digest = this.pages.digests.at(page);
    if (!Buffer.from(digest.buffer, digest.byteOffset, digest.length).equals(getZeroDigest())) {
      return hashLeaf(LEAF.page, digest);
    }
    return (this.zeroLeaf ??= hashLeaf(LEAF.page, digest));
  }
}
