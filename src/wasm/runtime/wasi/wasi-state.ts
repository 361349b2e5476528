import { WASI_EPOCH_NS, WASI_OUTPUT, WASI_SCRATCH_BYTES, WASI_TICK_NS } from '../constants.ts';
import type { ProgramContext } from '../program-context.ts';
import { halt } from '../program-halt.ts';
import { DescriptorTable } from './descriptors.ts';
import { MemoryFileSystem } from './file-system.ts';
import { LineBuffer } from './line-buffer.ts';

/** What the calls of one WASI program share. */
export class WasiState {
  readonly context: ProgramContext;
  readonly files: MemoryFileSystem;
  readonly descriptors: DescriptorTable;
  readonly stdout: LineBuffer;
  readonly stderr: LineBuffer;
  private timeNs = WASI_EPOCH_NS;

  constructor(context: ProgramContext) {
    this.context = context;
    this.files = new MemoryFileSystem(context.task.outputBytes + WASI_SCRATCH_BYTES);
    for (const input of context.task.inputs) {
      if (!this.files.addInput(input.path, input.bytes)) halt('TRAP', `the input ${input.path} collides with another`);
    }
    const output = WASI_OUTPUT.slice(1);
    if (!this.files.root.entries.has(output)) {
      this.files.root.entries.set(output, this.files.createFolder(this.files.root));
    }
    this.descriptors = new DescriptorTable(this.files.root);
    this.stdout = new LineBuffer(context, 'stdout');
    this.stderr = new LineBuffer(context, 'stderr');
  }

  /** Time that depends on nothing but how often it was asked for. */
  readClock(): bigint {
    const now = this.timeNs;
    this.timeNs += WASI_TICK_NS;
    return now;
  }

  /** A sleep costs no time on the host; the clock shows it all the same. */
  advanceClockTo(timeNs: bigint): void {
    if (timeNs > this.timeNs) this.timeNs = timeNs;
  }
}
