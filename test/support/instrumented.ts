import { FUEL_EXPORT, STACK_EXPORT } from '../../src/wasm/constants.ts';
import { type InstrumentOptions, instrument } from '../../src/wasm/instrument/instrument.ts';
import { assembleWat } from './wat.ts';

export interface InstrumentedInstance {
  readonly bytes: Uint8Array;
  call(name: string, ...operands: readonly unknown[]): unknown;
  fuelLeft(): bigint;
  stackLeft(): number;
  setFuel(fuel: bigint): void;
  setStack(slots: number): void;
}

/** Assembles, instruments and instantiates; host functions by import module and name. */
export function instantiateInstrumented(
  wat: string,
  imports: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {},
  options: Partial<InstrumentOptions> = {},
): InstrumentedInstance {
  const { bytes } = instrument(assembleWat(wat), { maxPages: 16, isStepping: false, ...options });
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes), imports);
  const fuel = exports[FUEL_EXPORT] as WebAssembly.Global;
  const stack = exports[STACK_EXPORT] as WebAssembly.Global;
  fuel.value = 1_000_000n;
  return {
    bytes,
    call: (name, ...operands) => (exports[name] as (...values: readonly unknown[]) => unknown)(...operands),
    fuelLeft: () => fuel.value as bigint,
    stackLeft: () => stack.value as number,
    setFuel: (value) => {
      fuel.value = value;
    },
    setStack: (value) => {
      stack.value = value;
    },
  };
}
