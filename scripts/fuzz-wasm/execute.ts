import { hash } from 'node:crypto';
import { EXTERNREF, F32, F64, FUNCREF, I64 } from '../../src/wasm/binary/types.ts';
import { FUEL_EXPORT, HOST_MEMORY_MARK, STACK_EXPORT, STACK_SLOTS, START_EXPORT } from '../../src/wasm/constants.ts';
import { createSeededNumbers } from '../../test/support/stepping-modules.ts';
import { type Execution, FUEL, NATIVE_STACK, OUT_OF_FUEL, OUT_OF_STACK, type Transcript } from './interface.ts';
import { COUNT_EXPORT } from './reference-module.ts';
import { STATE_PREFIX } from './seal-module.ts';
import { createLoggers, readBits } from './vector-bits.ts';

/** Calls from the module into the host and back, one inside another; and host calls altogether. */
const MAX_NESTED = 8;
const MAX_HOST_CALLS = 5000;
const INTERESTING = [0, 1, -1, 2, 7, 31, 64, 255, 65_535, 65_536, 0x7fff_ffff, -0x8000_0000];
const FLOATS = [0, -0, 1, -1, 0.5, 1e10, -1e30, 4294967296, 1e308, Number.POSITIVE_INFINITY, Number.NaN];

const TRAPS: readonly (readonly [RegExp, string])[] = [
  [/unreachable/, 'unreachable'],
  [/divide by zero|remainder by zero/, 'integer divide by zero'],
  [/result unrepresentable/, 'integer overflow'],
  [/float unrepresentable/, 'invalid conversion to integer'],
  [/memory access out of bounds|data segment/, 'out of bounds memory access'],
  [/null function|signature mismatch/, 'indirect call'],
  [/table/, 'out of bounds table access'],
];

/** What the JavaScript interface's tables have besides `set`, which is all that src declares. */
interface Table {
  readonly length: number;
  get(index: number): unknown;
  set(index: number, value: unknown): void;
}

class HostStop extends Error {}

type Call = (...values: readonly unknown[]) => unknown;

/** Runs the exports of one module, plain or instrumented, and writes down all that can be seen. */
export function execute(execution: Execution): Transcript {
  return new Run(execution).run();
}

class Run {
  private readonly execution: Execution;
  private readonly below: (limit: number) => number;
  private readonly seen: string[] = [];
  private exports: Readonly<Record<string, unknown>> = {};
  /** What host functions see: nothing while the start function runs, since a plain module has no exports then. */
  private visible: Readonly<Record<string, unknown>> = {};
  private hangCount: WebAssembly.Global | undefined;
  private nested = 0;
  private caught = 0;
  private hostCalls = 0;

  constructor(execution: Execution) {
    this.execution = execution;
    this.below = createSeededNumbers(execution.seed);
  }

  run(): Transcript {
    const { calls, functions } = this.execution;
    const ends = [this.end(() => this.instantiate())];
    const fuel: string[] = [];
    const caught: number[] = [];
    if (ends[0]?.startsWith('=') === true) {
      for (let call = 0; call < calls && functions.length > 0; call++) {
        const entry = functions[call % functions.length];
        const operands = (entry?.params ?? []).map((type) => this.operand(type));
        this.setFuel();
        this.caught = 0;
        if (this.hangCount !== undefined) this.hangCount.value = this.execution.hangLimit;
        ends.push(this.end(() => (this.exports[entry?.name ?? ''] as Call)(...operands)));
        fuel.push(this.takeFuel());
        caught.push(this.caught);
      }
    }
    return { ends, fuel, caught, host: digest(this.seen.join('\n')), ...this.describeState() };
  }

  private instantiate(): undefined {
    const module = new WebAssembly.Module(this.execution.bytes);
    const { exports } = new WebAssembly.Instance(module, this.imports());
    this.exports = exports;
    this.setFuel();
    (this.exports[START_EXPORT] as Call | undefined)?.();
    this.visible = exports;
    this.hangCount = findHangCount(exports);
    return undefined;
  }

  private imports(): Record<string, Record<string, unknown>> {
    const log = (...values: readonly unknown[]): void => this.note(`log ${values.map(show).join(' ')}`);
    const bits = createLoggers(log);
    const host: Record<string, Call> = {
      'log-i32': log,
      'log-i64': log,
      'log-f32': bits.f32,
      'log-f64': bits.f64,
      'log-v128': bits.v128,
      'call-export': (index) => this.callExport(Number(index)),
      'call-export-catch': (index) => this.catching(() => this.callExport(Number(index))),
      'call-ref': (target) => this.callReference(target),
      'call-ref-catch': (target) => this.catching(() => this.callReference(target)),
      'table-get': (index) => this.table?.get(Number(index) >>> 0),
      'table-set': (index, value) => this.table?.set(Number(index) >>> 0, value),
      sleep: (_time, value) => value,
    };
    return { 'fuzzing-support': host };
  }

  private get table(): Table | undefined {
    return this.visible['table'] as Table | undefined;
  }

  private note(text: string): void {
    if (++this.hostCalls > MAX_HOST_CALLS) throw new HostStop('too many host calls');
    this.seen.push(text);
  }

  private callExport(index: number): void {
    const { functions } = this.execution;
    const entry = functions[(index >>> 0) % functions.length];
    const operands = (entry?.params ?? []).map((type) => this.operand(type));
    this.callBack(() => (this.visible[entry?.name ?? ''] as Call)(...operands), `call ${entry?.name}`);
  }

  /** A function that is not exported has types that the host does not know: zero becomes any of them but i64. */
  private callReference(target: unknown): void {
    this.callBack(() => (typeof target === 'function' ? (target as Call)(0, 0, 0, 0) : undefined), show(target));
  }

  private callBack(call: Call, what: string): void {
    this.note(what);
    if (this.nested >= MAX_NESTED) throw new HostStop('nested too deep');
    this.nested++;
    try {
      this.note(show(call()));
    } finally {
      this.nested--;
    }
  }

  /** A host that goes on after a trap gives the stack back that the unwound calls had taken. */
  private catching(call: () => void): number {
    const stack = this.exports[STACK_EXPORT] as WebAssembly.Global | undefined;
    const before: unknown = stack?.value;
    try {
      call();
      return 0;
    } catch (error) {
      const trap = this.nameTrap(error);
      if (trap === OUT_OF_FUEL || trap === OUT_OF_STACK || trap === NATIVE_STACK) throw error;
      this.note(trap);
      this.caught++;
      if (stack !== undefined) stack.value = before;
      return 1;
    }
  }

  private operand(type: number): unknown {
    const integer = this.below(3) === 0 ? this.below(2 ** 32) : (INTERESTING[this.below(INTERESTING.length)] ?? 0);
    if (type === I64) return BigInt(integer) * BigInt(1 + this.below(2 ** 31));
    if (type === F32 || type === F64) return FLOATS[this.below(FLOATS.length)];
    if (type === FUNCREF || type === EXTERNREF) return null;
    return integer;
  }

  private end(call: () => unknown): string {
    try {
      return `= ${show(call())}`;
    } catch (error) {
      const trap = this.nameTrap(error);
      this.resetStack();
      return trap;
    }
  }

  private nameTrap(error: unknown): string {
    if (error instanceof HostStop) return `! ${error.message}`;
    if (error instanceof RangeError) return /call stack/.test(error.message) ? NATIVE_STACK : '! range';
    if (error instanceof TypeError) return '! type';
    if (!(error instanceof WebAssembly.RuntimeError)) throw error;
    const stack = (this.exports[STACK_EXPORT] as WebAssembly.Global | undefined)?.value as number | undefined;
    if (stack === HOST_MEMORY_MARK) return '! host memory';
    if (stack !== undefined && stack < 0) return OUT_OF_STACK;
    if (this.fuelLeft < 0n) return OUT_OF_FUEL;
    return `! ${TRAPS.find(([pattern]) => pattern.test(error.message))?.[1] ?? error.message}`;
  }

  private get fuelLeft(): bigint {
    return ((this.exports[FUEL_EXPORT] as WebAssembly.Global | undefined)?.value as bigint | undefined) ?? 0n;
  }

  private setFuel(): void {
    const fuel = this.exports[FUEL_EXPORT] as WebAssembly.Global | undefined;
    if (fuel !== undefined) fuel.value = FUEL;
    const count = this.exports[COUNT_EXPORT] as WebAssembly.Global | undefined;
    if (count !== undefined) count.value = 0n;
  }

  /** With what is left of the stack: every call that returns gives back all that it took. */
  private takeFuel(): string {
    const count = this.exports[COUNT_EXPORT] as WebAssembly.Global | undefined;
    if (!this.execution.isInstrumented) return show(count?.value).replace('n', '');
    const stack = (this.exports[STACK_EXPORT] as WebAssembly.Global).value as number;
    return stack === STACK_SLOTS ? String(FUEL - this.fuelLeft) : `stack unbalanced by ${STACK_SLOTS - stack}`;
  }

  private resetStack(): void {
    const stack = this.exports[STACK_EXPORT] as WebAssembly.Global | undefined;
    if (stack !== undefined) stack.value = STACK_SLOTS;
  }

  private describeState(): Pick<Transcript, 'memory' | 'globals' | 'tables'> {
    const memories: string[] = [];
    const globals: string[] = [];
    const tables: string[] = [];
    for (const [name, value] of Object.entries(this.exports)) {
      if (!name.startsWith(STATE_PREFIX)) continue;
      if (value instanceof WebAssembly.Memory) memories.push(describeMemory(value));
      else if (value instanceof WebAssembly.Table) tables.push(describeTable(value as unknown as Table));
      else globals.push(`${name} ${describeGlobal(value as WebAssembly.Global)}`);
    }
    return { memory: memories.join(), globals, tables };
  }
}

/** The last mutable i32 global that starts at 100; were it another one, both modules would get the same value. */
function findHangCount(exports: Readonly<Record<string, unknown>>): WebAssembly.Global | undefined {
  const globals = Object.entries(exports).filter(([name]) => name.startsWith(`${STATE_PREFIX}global`));
  return globals.map(([, value]) => value as WebAssembly.Global).findLast((global) => describeGlobal(global) === '100');
}

/** Floats and vectors by their bits. */
function describeGlobal(global: WebAssembly.Global): string {
  const bits = readBits(global);
  return bits === null ? show(global.value) : bits.map(show).join();
}

function describeMemory({ buffer }: WebAssembly.Memory): string {
  return `${buffer.byteLength} ${digest(new Uint8Array(buffer))}`;
}

function describeTable(table: Table): string {
  return Array.from({ length: table.length }, (_, index) => show(table.get(index))).join();
}

function show(value: unknown): string {
  if (value === undefined || value === null) return String(value ?? '');
  if (Array.isArray(value)) return value.map(show).join(',');
  if (typeof value === 'bigint') return `${BigInt.asUintN(64, value)}n`;
  if (typeof value === 'function') return `function ${value.name}`;
  if (typeof value !== 'number') return typeof value;
  if (Number.isNaN(value)) return 'nan';
  return Object.is(value, -0) ? '-0' : String(value);
}

function digest(content: string | Uint8Array): string {
  return hash('sha256', content).slice(0, 32);
}
