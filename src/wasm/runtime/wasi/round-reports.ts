import type { CapturedState } from '../../stepping/interface.ts';
import { RoundPlan } from '../../stepping/round-plan.ts';
import { ROUND_FILE } from '../constants.ts';
import type { ProgramContext } from '../program-context.ts';
import { halt, ProgramHalt } from '../program-halt.ts';
import { CheckpointFiles } from './checkpoint-files.ts';
import type { Descriptor } from './descriptors.ts';
import type { FileNode, MemoryFileSystem } from './file-system.ts';
import { parseRound } from './parse-round.ts';

/**
 * The training rounds that a program reports by writing `/checkpoint/ROUND`, and the checkpoints that are made of its files
 * (docs/stepping.md section 7). A report is the close of a descriptor that the file was written through, or a rename onto
 * it; what was reported once is not reported again until it is written again.
 */
export class RoundReports {
  private readonly context: ProgramContext;
  private readonly files: MemoryFileSystem;
  private readonly checkpointFiles: CheckpointFiles;
  private readonly plan: RoundPlan;
  private reported: { readonly node: FileNode; readonly version: number } | null = null;

  constructor(
    { context, files }: { readonly context: ProgramContext; readonly files: MemoryFileSystem },
    options: { readonly every: number; readonly maxBytes: number },
  ) {
    this.context = context;
    this.files = files;
    this.checkpointFiles = new CheckpointFiles(files, options.maxBytes);
    const round = context.task.resume?.step ?? 0;
    this.plan = new RoundPlan(options.every, round);
    context.step = round;
  }

  /** Before anything of the program runs. */
  start(): void {
    this.make('start');
  }

  /** The program came to its own good end. */
  end(): void {
    this.make('end');
  }

  afterClose(descriptor: Descriptor | null): void {
    if (descriptor?.kind !== 'file' || !descriptor.hasWritten) return;
    if (descriptor.node === this.find()) this.report(descriptor.node);
  }

  afterRename(node: FileNode): void {
    if (node.version > 0 && node === this.find()) this.report(node);
  }

  private find(): FileNode | null {
    const place = this.files.resolve(this.files.root, ROUND_FILE.slice(1));
    return typeof place !== 'number' && place.node?.kind === 'file' ? place.node : null;
  }

  private report(node: FileNode): void {
    const { reported, context } = this;
    if (reported?.node === node && reported.version === node.version) return;
    this.reported = { node, version: node.version };
    const round = parseRound(node.buffer.subarray(0, node.length));
    if (round === null) return halt('TRAP', `${ROUND_FILE} is not a number in decimal`);
    if (round <= context.step) halt('TRAP', `round ${round} was reported after round ${context.step}`);
    context.step = round;
    context.tick();
    if (this.plan.advance(round)) this.make('middle');
  }

  private make(place: CapturedState['place']): void {
    const { context } = this;
    if (context.fuelLeft < 0n) halt('OUT_OF_FUEL', '');
    const { step, fuelUsed: fuel, metricsHash, ordinal } = context;
    const captured = this.checkpointFiles.capture({ step, fuel, place, metricsHash, ordinal });
    if (context.sink.checkpoint(captured) === 'halt') throw new ProgramHalt({ kind: 'paused' });
  }
}
