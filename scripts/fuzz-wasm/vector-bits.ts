/**
 * Vectors do not cross into JavaScript, and floats lose the bits of their NaNs on the way: small modules hand them over as
 * integers.
 */
import { ByteWriter } from '../../src/wasm/binary/byte-writer.ts';
import { F32, F64, I32, I64, V128 } from '../../src/wasm/binary/types.ts';

type Call = (...values: readonly unknown[]) => unknown;

interface Shape {
  readonly type: number;
  readonly integers: readonly number[];
  /** The integer at `place`, of the value that `push` puts on the stack. */
  readonly code: (push: readonly number[], place: number) => readonly number[];
}

const SHAPES = {
  f32: { type: F32, integers: [I32], code: (push) => [...push, 0xbc] },
  f64: { type: F64, integers: [I64], code: (push) => [...push, 0xbd] },
  v128: { type: V128, integers: [I64, I64], code: (push, place) => [...push, 0xfd, 0x1d, place] },
} as const satisfies Record<string, Shape>;

interface Parts {
  readonly types: readonly (readonly [params: readonly number[], results: readonly number[]])[];
  readonly imported: readonly number[];
  readonly code: readonly number[];
}

/** A module that imports `h` `h` and exports its one function, of type 0, as `f`. */
function assemble({ types, imported, code }: Parts): WebAssembly.Module {
  const out = new ByteWriter(256);
  const section = (id: number, content: readonly number[]): void => out.u8(id, content.length, ...content);
  out.u8(0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0);
  const signatures = types.flatMap(([params, results]) => [0x60, params.length, ...params, results.length, ...results]);
  section(1, [types.length, ...signatures]);
  section(2, [1, 1, 0x68, 1, 0x68, ...imported]);
  section(3, [1, 0]);
  section(7, [1, 1, 0x66, 0, imported[0] === 0 ? 1 : 0]);
  section(10, [1, code.length + 2, 0, ...code, 0x0b]);
  return new WebAssembly.Module(out.view().slice());
}

function createLogger({ type, integers, code }: Shape): WebAssembly.Module {
  const values = integers.flatMap((_, place) => code([0x20, 0], place));
  const types = [
    [[type], []],
    [integers, []],
  ] as const;
  return assemble({ types, imported: [0, 1], code: [...values, 0x10, 0] });
}

function createGetter({ type, integers, code }: Shape): WebAssembly.Module {
  const values = integers.flatMap((_, place) => code([0x23, 0], place));
  return assemble({ types: [[[], integers]], imported: [3, type, 1], code: values });
}

const LOGGERS = { f32: createLogger(SHAPES.f32), f64: createLogger(SHAPES.f64), v128: createLogger(SHAPES.v128) };
const GETTERS = Object.values(SHAPES).map(createGetter);

/** Functions for the imports of a module that takes a float or a vector; `log` gets its bits. */
export function createLoggers(log: Call): { readonly f32: Call; readonly f64: Call; readonly v128: Call } {
  const link = (module: WebAssembly.Module): Call =>
    new WebAssembly.Instance(module, { h: { h: log } }).exports['f'] as Call;
  return { f32: link(LOGGERS.f32), f64: link(LOGGERS.f64), v128: link(LOGGERS.v128) };
}

/** The bits of a mutable global of float or vector type; null for one of another type. */
export function readBits(global: WebAssembly.Global): readonly unknown[] | null {
  for (const getter of GETTERS) {
    try {
      const { exports } = new WebAssembly.Instance(getter, { h: { h: global } });
      return [(exports['f'] as Call)()].flat();
    } catch (error) {
      if (!(error instanceof WebAssembly.LinkError)) throw error;
    }
  }
  return null;
}
