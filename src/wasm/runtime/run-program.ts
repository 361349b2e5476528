import { InternalError } from '../../lib/errors.ts';
import { FUEL_EXPORT, HOST_MEMORY_MARK, STACK_EXPORT, START_EXPORT } from '../constants.ts';
import { WasmError } from '../errors.ts';
import { GuestMemory } from './guest-memory.ts';
import type { HostProgram } from './host-functions.ts';
import type { PreparedProgram } from './prepare-program.ts';
import { ProgramContext, type ProgramFile, type ProgramSink, type ProgramTask } from './program-context.ts';
import { createFailure, ProgramHalt, type ProgramOutcome } from './program-halt.ts';

export interface ProgramResult {
  /** `engine-failed`: the host, not the program, gave up; nothing follows about the program. */
  readonly outcome: ProgramOutcome | { readonly kind: 'engine-failed'; readonly detail: string };
  /** Empty unless the program came to its own end: completed, exit code, failed step. */
  readonly outputs: readonly ProgramFile[];
  readonly fuel: number;
  readonly steps: number;
  readonly metricsHash: Uint8Array;
  /** Size of memory at the end, which is its peak. */
  readonly memoryBytes: number;
}

const OWN_ENDS: ReadonlySet<string> = new Set(['EXIT_CODE', 'STEP_FAILED']);

/** V8's messages, in the words of the core specification (section 4.4), so that results do not depend on wording. */
const TRAPS: readonly (readonly [RegExp, string])[] = [
  [/unreachable/, 'unreachable'],
  [/divide by zero|remainder by zero/, 'integer divide by zero'],
  [/result unrepresentable/, 'integer overflow'],
  [/float unrepresentable/, 'invalid conversion to integer'],
  [/memory access out of bounds|data segment/, 'out of bounds memory access'],
  [/null function|signature mismatch/, 'indirect call type mismatch'],
  [/table/, 'out of bounds table access'],
];

/**
 * Runs a program from instantiation, or from the state that its task names, to its end. Never throws for what the program
 * does.
 * @throws WasmError WASM_RESUME_REFUSED for a state that does not fit; nothing has run then
 */
export function runProgram(prepared: PreparedProgram, task: ProgramTask, sink: ProgramSink): ProgramResult {
  const context = new ProgramContext(task, sink);
  const run = new ProgramRun(prepared, context);
  return run.toResult(run.execute());
}

class ProgramRun {
  private readonly prepared: PreparedProgram;
  private readonly context: ProgramContext;
  private program: HostProgram | null = null;
  private stack: WebAssembly.Global | null = null;
  private memory: GuestMemory | null = null;

  constructor(prepared: PreparedProgram, context: ProgramContext) {
    this.prepared = prepared;
    this.context = context;
  }

  execute(): ProgramResult['outcome'] {
    try {
      const program = this.prepared.abi.create(this.context);
      this.program = program;
      const exports = this.instantiate(program);
      const { instrumented } = this.prepared;
      program.begin();
      if (instrumented.hasStart && this.isFresh) (exports[START_EXPORT] as () => void)();
      program.run({ exports, instrumented });
      program.flush();
      return this.context.fuelLeft < 0n ? createFailure('OUT_OF_FUEL', '') : { kind: 'completed' };
    } catch (error) {
      return this.flushAfter(this.classify(error));
    }
  }

  /** Memory that is restored is that behind the start function; files are given to a program that starts anew. */
  private get isFresh(): boolean {
    return this.context.task.resume?.state.kind !== 'memory';
  }

  private instantiate(program: HostProgram): Readonly<Record<string, unknown>> {
    const { abi, module } = this.prepared;
    const { exports } = new WebAssembly.Instance(module, { [abi.importModule]: program.functions });
    // The instrumenter put these exports there, and prepareProgram checked for the memory.
    this.memory = new GuestMemory(exports['memory'] as WebAssembly.Memory);
    this.stack = exports[STACK_EXPORT] as WebAssembly.Global;
    this.context.attach(this.memory, exports[FUEL_EXPORT] as WebAssembly.Global);
    return exports;
  }

  /** What is buffered still belongs to the log; a limit that it passes does not change how the program ended. */
  private flushAfter(outcome: ProgramResult['outcome']): ProgramResult['outcome'] {
    try {
      this.program?.flush();
    } catch (error) {
      if (!(error instanceof ProgramHalt)) throw error;
    }
    return outcome;
  }

  private classify(error: unknown): ProgramResult['outcome'] {
    if (error instanceof ProgramHalt) return error.outcome;
    if (error instanceof WebAssembly.RuntimeError) {
      const stack = Number(this.stack?.value);
      if (stack === HOST_MEMORY_MARK) return { kind: 'engine-failed', detail: 'the host has no memory left' };
      if (stack < 0) return createFailure('STACK_EXHAUSTED', '');
      if (this.context.fuelLeft < 0n) return createFailure('OUT_OF_FUEL', '');
      const trap = TRAPS.find(([pattern]) => pattern.test(error.message));
      return createFailure('TRAP', trap?.[1] ?? 'trap');
    }
    if (error instanceof WasmError) throw error;
    if (error instanceof RangeError) return { kind: 'engine-failed', detail: error.message.slice(0, 200) };
    throw new InternalError('a host function failed', { cause: error });
  }

  toResult(outcome: ProgramResult['outcome']): ProgramResult {
    const isOwnEnd = outcome.kind === 'completed' || (outcome.kind === 'program-failed' && OWN_ENDS.has(outcome.code));
    return {
      outcome,
      outputs: isOwnEnd ? (this.program?.outputs() ?? []) : [],
      fuel: this.context.fuelUsed,
      steps: this.context.step,
      metricsHash: this.context.metricsHash,
      memoryBytes: this.memory?.sizeBytes ?? 0,
    };
  }
}
