import { CheckpointPlan } from '../stepping/checkpoint-plan.ts';
import { Checkpointer } from '../stepping/checkpointer.ts';
import { GlobalState } from '../stepping/global-state.ts';
import { ProgramOutput } from '../stepping/program-output.ts';
import { restoreState } from '../stepping/restore-state.ts';
import { checkResumeImage } from '../stepping/resume-image.ts';
import { FOGPROOF_OUTPUT, STEP_FUEL } from './constants.ts';
import {
  chargeCalls,
  type HostAbi,
  type HostFunctions,
  type HostProgram,
  type ProgramInstance,
  parseSignature,
  parseSignatures,
} from './host-functions.ts';
import type { ProgramContext, ProgramFile } from './program-context.ts';
import { halt } from './program-halt.ts';

const UTF8 = new TextDecoder('utf-8', { fatal: true });

/**
 * The `fogproof` ABI (docs/job-spec.md). Pointers are into the module's memory; one that is out of bounds is a trap.
 */
export const FOGPROOF_ABI: HostAbi = {
  importModule: 'fogproof',
  signatures: parseSignatures({
    input_count: ':i',
    input_len: 'i:i',
    input_read: 'iiii:i',
    output_write: 'ii:',
    log: 'ii:',
    metric: 'iid:',
    random: 'ii:',
  }),
  requiredExports: { fogproof_init: parseSignature(':i'), fogproof_step: parseSignature(':i') },
  create: (context) => new FogproofProgram(context),
};

class FogproofProgram implements HostProgram {
  private readonly context: ProgramContext;
  private readonly output = new ProgramOutput();

  readonly functions: HostFunctions;

  constructor(context: ProgramContext) {
    this.context = context;
    this.functions = chargeCalls(context, {
      input_count: () => context.task.inputs.length,
      input_len: (index: number) => context.task.inputs[index >>> 0]?.bytes.length ?? -1,
      input_read: (index: number, target: number, offset: number, length: number) =>
        this.readInput({ index, target, offset, length }),
      output_write: (pointer: number, length: number) => this.writeOutput(context.memory.view(pointer, length)),
      log: (pointer: number, length: number) => context.log('log', context.memory.view(pointer, length)),
      metric: (pointer: number, length: number, value: number) =>
        this.giveMetric(context.memory.view(pointer, length), value),
      random: (pointer: number, length: number) => context.fillRandom(context.memory.view(pointer, length)),
    });
  }

  private giveMetric(name: Uint8Array, value: number): void {
    if (!isUtf8(name)) halt('TRAP', 'the name of a metric is not UTF-8');
    this.context.metric(name, value);
  }

  private readInput(call: { index: number; target: number; offset: number; length: number }): number {
    const input = this.context.task.inputs[call.index >>> 0];
    if (input === undefined) return -1;
    const start = call.offset >>> 0;
    const part = input.bytes.subarray(start, start + (call.length >>> 0));
    this.context.chargeCopy(part.length);
    this.context.memory.write(call.target, part);
    return part.length;
  }

  private writeOutput(bytes: Uint8Array): void {
    this.context.chargeCopy(bytes.length);
    const { outputBytes } = this.context.task;
    if (this.output.length + bytes.length > outputBytes)
      halt('OUTPUT_LIMIT', `more than ${outputBytes} bytes of output`);
    this.output.append(bytes);
  }

  begin(): void {}

  run({ exports, instrumented }: ProgramInstance): void {
    const { context, output } = this;
    const { checkpoints, resume } = context.task;
    const plan = checkpoints === null ? null : new CheckpointPlan(checkpoints);
    const globals = new GlobalState(instrumented.mutableGlobals, exports);
    const image = resume === null ? null : checkResumeImage(resume, instrumented, context.task);
    if (image === null) this.initialise(exports);
    else restoreState(image, { context, globals, output, plan });
    const isDone = image?.host.isDone ?? false;
    const checkpointer = plan === null ? null : new Checkpointer({ context, globals, output, plan });
    checkpointer?.start(isDone);
    if (!isDone) this.stepUntilDone(exports, checkpointer);
  }

  private initialise(exports: ProgramInstance['exports']): void {
    // Both entry points were checked to be functions of this type before the module ran.
    const started = (exports['fogproof_init'] as () => number)();
    if (started < 0) halt('STEP_FAILED', `fogproof_init returned ${started}`);
  }

  private stepUntilDone(exports: ProgramInstance['exports'], checkpointer: Checkpointer | null): void {
    const { context } = this;
    const step = exports['fogproof_step'] as () => number;
    for (let result = 0; result === 0; ) {
      context.charge(STEP_FUEL);
      context.step++;
      result = step();
      if (result < 0 || result > 1) halt('STEP_FAILED', `step ${context.step} returned ${result}`);
      context.tick();
      checkpointer?.afterStep(result === 1);
    }
  }

  flush(): void {}

  outputs(): readonly ProgramFile[] {
    if (!this.output.isWritten) return [];
    return [{ path: FOGPROOF_OUTPUT, bytes: this.output.bytes }];
  }
}

function isUtf8(bytes: Uint8Array): boolean {
  try {
    UTF8.decode(bytes);
    return true;
  } catch {
    return false;
  }
}
