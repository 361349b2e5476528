import { FOGPROOF_OUTPUT, STEP_FUEL } from './constants.ts';
import {
  chargeCalls,
  type HostAbi,
  type HostFunctions,
  type HostProgram,
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
  private output: Uint8Array = new Uint8Array(0);
  private outputLength = 0;
  private hasOutput = false;

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
    const length = this.outputLength + bytes.length;
    const { outputBytes } = this.context.task;
    if (length > outputBytes) halt('OUTPUT_LIMIT', `more than ${outputBytes} bytes of output`);
    if (length > this.output.length) {
      const grown = new Uint8Array(Math.max(length, this.output.length * 2));
      grown.set(this.output.subarray(0, this.outputLength));
      this.output = grown;
    }
    this.output.set(bytes, this.outputLength);
    this.outputLength = length;
    this.hasOutput = true;
  }

  run(exports: Readonly<Record<string, unknown>>): void {
    // Both exports were checked to be functions of this type before the module ran.
    const init = exports['fogproof_init'] as () => number;
    const step = exports['fogproof_step'] as () => number;
    const started = init();
    if (started < 0) halt('STEP_FAILED', `fogproof_init returned ${started}`);
    for (let result = 0; result === 0; ) {
      this.context.step++;
      this.context.charge(STEP_FUEL);
      result = step();
      if (result < 0 || result > 1) halt('STEP_FAILED', `step ${this.context.step} returned ${result}`);
      this.context.tick();
    }
  }

  flush(): void {}

  outputs(): readonly ProgramFile[] {
    if (!this.hasOutput) return [];
    return [{ path: FOGPROOF_OUTPUT, bytes: this.output.subarray(0, this.outputLength) }];
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
