import { F64, type FunctionType, I32, I64 } from '../binary/types.ts';
import type { InstrumentedModule } from '../instrument/instrument.ts';
import { HOST_CALL_FUEL } from './constants.ts';
import type { ProgramContext, ProgramFile } from './program-context.ts';

/** i64 operands come as bigint, others as number. */
export type HostFunction = (...operands: never[]) => number | void;
export type HostFunctions = Readonly<Record<string, HostFunction>>;

/** One of the two sets of functions that a job's module may import. */
export interface HostAbi {
  readonly importModule: string;
  readonly signatures: ReadonlyMap<string, FunctionType>;
  /** Functions that the module has to export. */
  readonly requiredExports: Readonly<Record<string, FunctionType>>;
  create(context: ProgramContext): HostProgram;
}

export interface ProgramInstance {
  readonly exports: Readonly<Record<string, unknown>>;
  readonly instrumented: InstrumentedModule;
}

/** The host's side of one run. */
export interface HostProgram {
  readonly functions: HostFunctions;
  /** Called once host functions may be called and before anything of the module runs. */
  begin(): void;
  /** Calls the module's entry points in order until it has ended. */
  run(instance: ProgramInstance): void;
  /** Ends what is buffered; called however the program ended. */
  flush(): void;
  /** In ascending order of path. */
  outputs(): readonly ProgramFile[];
}

const LETTERS: Readonly<Record<string, number>> = { i: I32, I: I64, d: F64 };

function parseTypes(text: string): number[] {
  return Array.from(text, (letter) => LETTERS[letter] ?? I32);
}

/** 'iI:i' is (i32, i64) -> i32; `d` is f64. */
export function parseSignature(text: string): FunctionType {
  const [params = '', results = ''] = text.split(':');
  return { params: parseTypes(params), results: parseTypes(results) };
}

export function parseSignatures(table: Readonly<Record<string, string>>): ReadonlyMap<string, FunctionType> {
  return new Map(Object.entries(table).map(([name, text]) => [name, parseSignature(text)]));
}

export function isSameType(a: FunctionType, b: FunctionType): boolean {
  return a.params.join() === b.params.join() && a.results.join() === b.results.join();
}

/** The same functions, each of which takes the fuel of a call first. */
export function chargeCalls(context: ProgramContext, functions: HostFunctions): HostFunctions {
  const charge = (call: HostFunction): HostFunction => {
    return (...operands) => {
      context.charge(HOST_CALL_FUEL);
      return call(...operands);
    };
  };
  return Object.fromEntries(Object.entries(functions).map(([name, call]) => [name, charge(call)] as const));
}
