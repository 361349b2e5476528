import { refuseImage } from '../../stepping/resume-image.ts';
import { WASI_CHECKPOINT, WASI_EPOCH_NS, WASI_OUTPUT, WASI_SCRATCH_BYTES, WASI_TICK_NS } from '../constants.ts';
import type { ProgramContext } from '../program-context.ts';
import { halt } from '../program-halt.ts';
import { DescriptorTable } from './descriptors.ts';
import { MemoryFileSystem } from './file-system.ts';
import { LineBuffer } from './line-buffer.ts';
import { restoreFiles } from './restore-files.ts';
import { RoundReports } from './round-reports.ts';

/** What the calls of one WASI program share. */
export class WasiState {
  readonly context: ProgramContext;
  readonly files: MemoryFileSystem;
  readonly descriptors: DescriptorTable;
  readonly stdout: LineBuffer;
  readonly stderr: LineBuffer;
  /** Null where the job's schedule is not by training rounds. */
  readonly rounds: RoundReports | null;
  private timeNs = WASI_EPOCH_NS;

  constructor(context: ProgramContext) {
    this.context = context;
    const { inputs, outputBytes, checkpoints, resume } = context.task;
    const maxBytes = outputBytes + WASI_SCRATCH_BYTES;
    this.files = new MemoryFileSystem(maxBytes);
    for (const input of inputs) {
      // A state that is gone on from takes the place of the files that the job began with.
      if (resume !== null && input.path.startsWith(`${WASI_CHECKPOINT}/`)) continue;
      if (!this.files.addInput(input.path, input.bytes)) halt('TRAP', `the input ${input.path} collides with another`);
    }
    this.files.ensureFolder(WASI_OUTPUT);
    const hasRounds = checkpoints?.kind === 'rounds';
    if (hasRounds) this.files.ensureFolder(WASI_CHECKPOINT);
    if (resume !== null) {
      if (!hasRounds) refuseImage('the job reports no training rounds');
      restoreFiles(resume, this.files, maxBytes);
    }
    this.rounds = hasRounds
      ? new RoundReports({ context, files: this.files }, { every: checkpoints.every, maxBytes })
      : null;
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
