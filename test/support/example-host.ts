import { createHash, createHmac } from 'node:crypto';
import { FUEL_EXPORT, START_EXPORT } from '../../src/wasm/constants.ts';

export interface ExampleRun {
  readonly steps: number;
  readonly status: number;
  readonly output: Uint8Array;
  readonly logs: readonly string[];
  readonly metrics: readonly { readonly name: string; readonly value: number; readonly step: number }[];
}

interface SteppingExports {
  readonly memory: WebAssembly.Memory;
  fogproof_init(): number;
  fogproof_step(): number;
}

/**
 * Runs a stepping module in plain Node: the bare ABI, without the daemon's limits or isolation. One that is instrumented
 * gets more fuel than it can use, and its start function is called as the daemon does.
 */
export function runExample(module: Uint8Array, inputs: readonly Uint8Array[], seed: Uint8Array): ExampleRun {
  const logs: string[] = [];
  const metrics: { name: string; value: number; step: number }[] = [];
  const output: Uint8Array[] = [];
  let steps = 0;
  let counter = 0;
  const view = (pointer: number, length: number): Uint8Array => new Uint8Array(exports.memory.buffer, pointer, length);
  const text = (pointer: number, length: number): string => new TextDecoder().decode(view(pointer, length));
  const fogproof = {
    input_count: () => inputs.length,
    input_len: (index: number) => inputs[index]?.length ?? -1,
    input_read: (index: number, target: number, offset: number, length: number) => {
      const part = inputs[index]?.subarray(offset, offset + length);
      if (part === undefined) return -1;
      view(target, part.length).set(part);
      return part.length;
    },
    output_write: (source: number, length: number) => {
      output.push(view(source, length).slice());
    },
    log: (pointer: number, length: number) => void logs.push(text(pointer, length)),
    metric: (pointer: number, length: number, value: number) =>
      void metrics.push({ name: text(pointer, length), value, step: steps }),
    random: (target: number, length: number) => {
      for (let at = 0; at < length; at += 32) {
        const block = createHmac('sha256', seed).update(String(counter++)).digest();
        view(target + at, Math.min(32, length - at)).set(block.subarray(0, Math.min(32, length - at)));
      }
    },
  };
  const instance = new WebAssembly.Instance(new WebAssembly.Module(module), { fogproof });
  // The contract of a stepping module, which runExample exists to try.
  const exports = instance.exports as unknown as SteppingExports;
  const fuel = instance.exports[FUEL_EXPORT];
  if (fuel instanceof WebAssembly.Global) fuel.value = 2n ** 60n;
  const start = instance.exports[START_EXPORT];
  if (typeof start === 'function') (start as () => void)();
  let status = exports.fogproof_init();
  while (status === 0) {
    steps += 1;
    status = exports.fogproof_step();
  }
  return { steps, status, output: Buffer.concat(output), logs, metrics };
}

export function hashOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
