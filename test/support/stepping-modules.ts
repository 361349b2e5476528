import { steppingWat } from './program.ts';
import { assembleWat } from './wat.ts';

/**
 * Random stepping modules: all their state is in memory (several pages, growing) and mutable globals, and they use every
 * host function. A seed gives the same module for ever.
 */
export interface SteppingModuleOptions {
  /** Steps until `fogproof_step` returns 1; chosen by the seed (4 to 40) if not given. */
  readonly steps?: number;
  /** How some of the modules end: all by returning 1, or by the seed also with a trap or a negative result. */
  readonly endings?: 'done' | 'any';
}

export interface SteppingModule {
  readonly wat: string;
  readonly bytes: Uint8Array;
  readonly steps: number;
  /** Pages that the module never grows beyond. */
  readonly maxPages: number;
}

const INITIAL_PAGES = [1, 2, 4, 8] as const;
const MOST_GROWTH = 6;
/** Words of logs and metrics; they stay in front of what is written at random, since names have to be UTF-8. */
const TEXT = 'loss of rank entropy';
/** Room in front of and behind every random address: the text, and the widest access with its offset. */
const MARGIN_BYTES = 64;

type ValueType = 'i32' | 'i64' | 'f32' | 'f64';
const TYPES: readonly ValueType[] = ['i32', 'i64', 'f32', 'f64'];

/** mulberry32: small, and all that is asked for is that a seed repeats. */
export function createSeededNumbers(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}

export function buildSteppingModule(seed: number, options: SteppingModuleOptions = {}): SteppingModule {
  const { wat, steps, maxPages } = new SteppingWriter(seed, options).write();
  return { wat, bytes: assembleWat(wat), steps, maxPages };
}

class SteppingWriter {
  private readonly below: (limit: number) => number;
  private readonly options: SteppingModuleOptions;
  private readonly pages: number;
  private readonly maxPages: number;
  private readonly globals: readonly { readonly type: ValueType; readonly name: string }[];
  private loops = 0;

  constructor(seed: number, options: SteppingModuleOptions) {
    this.below = createSeededNumbers(seed);
    this.options = options;
    this.pages = this.pick(INITIAL_PAGES);
    this.maxPages = this.pages + this.below(MOST_GROWTH + 1);
    this.globals = Array.from({ length: 4 + this.below(5) }, (_, index) => ({
      type: TYPES[index % TYPES.length] ?? 'i32',
      name: `$g${index}`,
    }));
  }

  write(): Omit<SteppingModule, 'bytes'> {
    const steps = this.options.steps ?? 4 + this.below(37);
    const init = this.statements(2, 5);
    const step = this.statements(3, 9);
    const helpers = Array.from({ length: 4 }, (_, index) => this.helper(index)).join('\n');
    const locals = Array.from({ length: this.loops }, (_, index) => `(local $n${index} i32)`).join(' ');
    const wat = steppingWat({
      rest: `${this.declareGlobals()}\n${helpers}`,
      init: `${locals} ${init} (i32.const 0)`,
      step: `${locals} (global.set $step (i32.add (global.get $step) (i32.const 1))) ${step} ${this.ending(steps)}
        (i32.ge_u (global.get $step) (i32.const ${steps}))`,
    }).replace(
      '(memory (export "memory") 1)',
      `(memory (export "memory") ${this.pages} ${this.maxPages})
    (data (i32.const 16) "${TEXT}")`,
    );
    return { wat, steps, maxPages: this.maxPages };
  }

  private pick<T>(choices: readonly T[]): T {
    return choices[this.below(choices.length)] as T; // every list here has items
  }

  private declareGlobals(): string {
    const declared = this.globals.map(({ type, name }, index) => {
      const exported = index % 3 === 0 ? `(export "visible${index}")` : '';
      return `(global ${name} ${exported} (mut ${type}) (${type}.const ${this.below(1000)}))`;
    });
    return ['(global $step (mut i32) (i32.const 0))', '(global $fixed i32 (i32.const 7))', ...declared].join('\n');
  }

  /** Functions in a table that never changes; called by index. */
  private helper(index: number): string {
    const table = index === 0 ? '(table 4 4 funcref) (elem (i32.const 0) $h0 $h1 $h2 $h3)' : '';
    return `${table} (func $h${index} (param i32) (result i32)
      (i32.store offset=${index * 4} ${this.address('local.get 0')} (i32.xor (local.get 0) ${this.global('i32')}))
      (i32.rotl (local.get 0) (i32.const ${1 + this.below(30)})))`;
  }

  private global(type: ValueType): string {
    return `(global.get ${this.pick(this.globals.filter((entry) => entry.type === type)).name})`;
  }

  /** Somewhere in the memory as it was at the start, or in the page that is the last one by now. */
  private address(index: string): string {
    const value = `(i32.mul (${index}) (i32.const ${(this.below(2 ** 31) | 1) >>> 0}))`;
    const within = (bytes: number): string =>
      `(i32.add (i32.const ${MARGIN_BYTES}) (i32.rem_u ${value} (i32.const ${bytes - 2 * MARGIN_BYTES})))`;
    if (this.below(3) > 0) return within(this.pages * 65_536);
    return `(i32.add (i32.shl (i32.sub (memory.size) (i32.const 1)) (i32.const 16)) ${within(65_536)})`;
  }

  private anyAddress(): string {
    return this.address(this.pick(['global.get $step', this.global('i32').slice(1, -1)]));
  }

  private expression(type: ValueType, depth: number): string {
    if (depth === 0 || this.below(4) === 0) return this.leaf(type);
    const a = this.expression(type, depth - 1);
    const b = this.expression(type, depth - 1);
    switch (type) {
      case 'i32':
        return this.below(5) === 0
          ? `(call_indirect (param i32) (result i32) ${a} (i32.and ${b} (i32.const 3)))`
          : `(i32.${this.pick(['add', 'sub', 'mul', 'xor', 'and', 'or', 'rotl', 'lt_s', 'shr_u'])} ${a} ${b})`;
      case 'i64':
        return `(i64.${this.pick(['add', 'sub', 'mul', 'xor', 'rotr', 'shl'])} ${a} ${b})`;
      default:
        return `(${type}.${this.pick(['add', 'sub', 'mul', 'div', 'min', 'copysign'])} ${a} ${b})`;
    }
  }

  private leaf(type: ValueType): string {
    const form = this.below(4);
    if (form === 0) return `(${type}.const ${this.below(100_000)})`;
    if (form === 1) return `(${type}.load offset=${this.below(16)} ${this.anyAddress()})`;
    if (form === 2) return this.global(type);
    if (type === 'i32') return '(global.get $step)';
    if (type === 'i64') return `(i64.extend_i32_s ${this.global('i32')})`;
    return `(${type}.convert_i32_s ${this.global('i32')})`;
  }

  private statements(depth: number, most: number): string {
    return Array.from({ length: 2 + this.below(most) }, () => this.statement(depth)).join('\n');
  }

  private statement(depth: number): string {
    const kinds = [
      () => this.store(),
      () => this.store(),
      () => this.setGlobal(),
      () => this.setGlobal(),
      () => this.hostCall(),
      () => this.bulk(),
      () => this.grow(),
    ];
    if (depth > 0)
      kinds.push(
        () => this.branch(depth),
        () => this.loop(depth),
      );
    return this.pick(kinds)();
  }

  private store(): string {
    if (this.below(6) === 0) {
      const operand = this.expression('i64', 1);
      return `(v128.store ${this.anyAddress()} (i64x2.mul (i64x2.splat ${operand}) (i64x2.splat ${this.global('i64')})))`;
    }
    const type = this.pick(TYPES);
    return `(${type}.store offset=${this.below(16)} ${this.anyAddress()} ${this.expression(type, 2)})`;
  }

  private setGlobal(): string {
    const { name, type } = this.pick(this.globals);
    return `(global.set ${name} ${this.expression(type, 2)})`;
  }

  private bulk(): string {
    const length = `(i32.const ${this.below(MARGIN_BYTES)})`;
    return this.below(2) === 0
      ? `(memory.fill ${this.anyAddress()} ${this.expression('i32', 1)} ${length})`
      : `(memory.copy ${this.anyAddress()} ${this.anyAddress()} ${length})`;
  }

  private grow(): string {
    return `(i32.store ${this.anyAddress()} (memory.grow (i32.const ${this.below(3)})))`;
  }

  private hostCall(): string {
    const span = `${this.anyAddress()} (i32.const ${this.below(MARGIN_BYTES)})`;
    const index = `(i32.const ${this.below(3)})`;
    return this.pick([
      `(call $random ${span})`,
      `(call $random ${span})`,
      `(call $output_write ${span})`,
      '(call $log (i32.const 16) (i32.const 7))',
      `(call $metric (i32.const 31) (i32.const 5) ${this.expression('f64', 1)})`,
      `(global.set $g0 (i32.add (global.get $g0) (call $input_len ${index})))`,
      `(global.set $g0 (i32.add (global.get $g0) (call $input_read ${index} ${this.anyAddress()} (i32.and ${this.global('i32')} (i32.const 63)) (i32.const ${this.below(MARGIN_BYTES)}))))`,
      '(global.set $g0 (i32.add (global.get $g0) (call $input_count)))',
    ]);
  }

  private branch(depth: number): string {
    return `(if (i32.and ${this.expression('i32', 1)} (i32.const ${1 + this.below(3)}))
      (then ${this.statements(depth - 1, 2)}) (else ${this.statements(depth - 1, 2)}))`;
  }

  private loop(depth: number): string {
    const counter = `$n${this.loops++}`;
    const body = this.statements(depth - 1, 2);
    return `(local.set ${counter} (i32.const ${1 + this.below(6)}))
      (loop ${body}
        (br_if 0 (local.tee ${counter} (i32.sub (local.get ${counter}) (i32.const 1)))))`;
  }

  private ending(steps: number): string {
    if (this.options.endings !== 'any') return '';
    const at = `(i32.eq (global.get $step) (i32.const ${1 + this.below(steps)}))`;
    return this.pick([
      '',
      `(if ${at} (then (unreachable)))`,
      `(if ${at} (then (return (i32.const -3))))`,
      `(if ${at} (then (drop (i32.load (i32.const -1)))))`,
    ]);
  }
}
