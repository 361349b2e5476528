/**
 * What a stepping job needs to speak with its host, for AssemblyScript (docs/stepping.md, docs/tutorial-stepping.md).
 *
 * A job exports `fogproof_init(): i32` and `fogproof_step(): i32` and keeps all that it knows in its memory and globals.
 * Compile with the stub runtime, without `abort`, and with a declared maximum of memory:
 *   asc job.ts -O3 --runtime stub --use abort= --initialMemory 1 --maximumMemory 256 --outFile job.wasm
 * The stub runtime never frees: allocate in `fogproof_init`, not in every step.
 */

// @ts-ignore: decorator
@external("fogproof", "input_count")
export declare function inputCount(): i32;
// @ts-ignore: decorator
@external("fogproof", "input_len")
declare function hostInputLength(index: i32): i32;
// @ts-ignore: decorator
@external("fogproof", "input_read")
declare function hostInputRead(index: i32, target: usize, offset: i32, length: i32): i32;
// @ts-ignore: decorator
@external("fogproof", "output_write")
declare function hostOutputWrite(source: usize, length: i32): void;
// @ts-ignore: decorator
@external("fogproof", "log")
declare function hostLog(text: usize, length: i32): void;
// @ts-ignore: decorator
@external("fogproof", "metric")
declare function hostMetric(name: usize, nameLength: i32, value: f64): void;
// @ts-ignore: decorator
@external("fogproof", "random")
declare function hostRandom(target: usize, length: i32): void;

/** What `fogproof_init` returns if all is well, and `fogproof_step` if there is more to do. */
export const MORE: i32 = 0;
/** What `fogproof_step` returns after the last step. */
export const DONE: i32 = 1;
/** Any negative number ends the job as failed; say why with `log` first. */
export const FAILED: i32 = -1;

/** Eight bytes of static memory, so that no number costs an allocation. */
const SCRATCH = memory.data(8, 8);

/** Bytes of input `index`, or -1 if there is none. Inputs are in ascending order of path. */
export function inputLength(index: i32): i32 {
  return hostInputLength(index);
}

/** A whole input, or null if there is none with this index. */
export function readInput(index: i32): Uint8Array | null {
  const length = hostInputLength(index);
  if (length < 0) return null;
  const bytes = new Uint8Array(length);
  return hostInputRead(index, bytes.dataStart, 0, length) == length ? bytes : null;
}

/** A whole input as text, or null if there is none with this index. */
export function readText(index: i32): string | null {
  const bytes = readInput(index);
  return bytes === null ? null : String.UTF8.decode(bytes.buffer);
}

/** Part of an input into memory that is there already; bytes read, which are fewer at its end. */
export function readInputInto(index: i32, target: usize, offset: i32, length: i32): i32 {
  return hostInputRead(index, target, offset, length);
}

/** Appends to the job's one output. */
export function writeOutput(source: usize, length: i32): void {
  hostOutputWrite(source, length);
}

export function writeOutputText(text: string): void {
  const bytes = String.UTF8.encode(text);
  hostOutputWrite(changetype<usize>(bytes), bytes.byteLength);
}

/** One line of the job's log. */
export function log(text: string): void {
  const bytes = String.UTF8.encode(text);
  hostLog(changetype<usize>(bytes), bytes.byteLength);
}

/** One value of a metric in the current step. */
export function metric(name: string, value: f64): void {
  const bytes = String.UTF8.encode(name);
  hostMetric(changetype<usize>(bytes), bytes.byteLength, value);
}

/** Logs the reason and gives what to return: `return fail("input 0 is empty")`. */
export function fail(reason: string): i32 {
  log(reason);
  return FAILED;
}

/** 64 bits from the job's seed, the same on every replica. A call costs a few hundred units of fuel: see `Xoshiro`. */
export function random64(): u64 {
  hostRandom(SCRATCH, 8);
  return load<u64>(SCRATCH);
}

/** A number in [0, 1) with 53 random bits. */
export function toUnit(bits: u64): f64 {
  return <f64>(bits >> 11) / 9007199254740992.0;
}

/**
 * xoshiro256** (Blackman and Vigna 2018), seeded from the job's seed. Its state is in the job's memory, so it is part
 * of every checkpoint, and a number costs a dozen instructions.
 */
export class Xoshiro {
  private a: u64 = random64();
  private b: u64 = random64();
  private c: u64 = random64();
  private d: u64 = random64() | 1;

  next(): u64 {
    const result = rotl<u64>(this.b * 5, 7) * 9;
    const shifted = this.b << 17;
    this.c ^= this.a;
    this.d ^= this.b;
    this.b ^= this.c;
    this.a ^= this.d;
    this.c ^= shifted;
    this.d = rotl<u64>(this.d, 45);
    return result;
  }

  /** In [0, 1). */
  unit(): f64 {
    return toUnit(this.next());
  }

  /** In [0, bound); its bias is below bound / 2^64. */
  below(bound: u32): u32 {
    return <u32>(this.next() % <u64>bound);
  }
}
