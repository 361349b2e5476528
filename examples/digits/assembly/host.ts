// What a stepping job may import: the module `fogproof`, nothing else (docs/job-spec.md).

// @ts-ignore: decorator
@external("fogproof", "input_count")
export declare function inputCount(): i32;
// @ts-ignore: decorator
@external("fogproof", "input_len")
export declare function inputLength(index: i32): i32;
// @ts-ignore: decorator
@external("fogproof", "input_read")
export declare function inputRead(index: i32, target: usize, offset: i32, length: i32): i32;
// @ts-ignore: decorator
@external("fogproof", "output_write")
export declare function outputWrite(source: usize, length: i32): void;
// @ts-ignore: decorator
@external("fogproof", "log")
declare function hostLog(text: usize, length: i32): void;
// @ts-ignore: decorator
@external("fogproof", "metric")
declare function hostMetric(name: usize, nameLength: i32, value: f64): void;
// @ts-ignore: decorator
@external("fogproof", "random")
declare function hostRandom(target: usize, length: i32): void;

/** Eight bytes of static memory: the module's runtime never frees, so nothing is allocated per number. */
const SCRATCH = memory.data(8, 8);

/** One line of the job's log. */
export function log(text: string): void {
  const bytes = String.UTF8.encode(text);
  hostLog(changetype<usize>(bytes), bytes.byteLength);
}

/** One value of a metric in the current training round. */
export function metric(name: string, value: f64): void {
  const bytes = String.UTF8.encode(name);
  hostMetric(changetype<usize>(bytes), bytes.byteLength, value);
}

/** 64 bits from the job's seed: the same on every replica. */
export function random64(): u64 {
  hostRandom(SCRATCH, 8);
  return load<u64>(SCRATCH);
}

/** A whole input, or null if there is none with this index. */
export function readInput(index: i32): Uint8Array | null {
  const length = inputLength(index);
  if (length < 0) return null;
  const bytes = new Uint8Array(length);
  if (inputRead(index, bytes.dataStart, 0, length) != length) return null;
  return bytes;
}
