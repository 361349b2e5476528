import { F32, F64, I32 } from '../binary/types.ts';
import { GLOBAL_EXPORT_PREFIX, READ_BITS_PREFIX, WRITE_BITS_PREFIX } from '../constants.ts';
import type { MutableGlobal } from '../instrument/instrument.ts';
import { GLOBAL_BYTES } from './constants.ts';

type Exports = Readonly<Record<string, unknown>>;

/** Why bytes are not the globals of a module; null where they are. */
export function findGlobalsFault(globals: readonly MutableGlobal[], bytes: Uint8Array): string | null {
  if (bytes.length !== globals.length * GLOBAL_BYTES) return `it has ${bytes.length} bytes of globals`;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (const [place, { index, type }] of globals.entries()) {
    if (view.getUint8(place * GLOBAL_BYTES) !== type) return `the type of global ${index} is another`;
    const isNarrow = type === I32 || type === F32;
    if (isNarrow && view.getUint32(place * GLOBAL_BYTES + 1) !== 0) return `global ${index} has more than 32 bits`;
  }
  return null;
}

/** The mutable globals of an instance by their bits (docs/stepping.md section 3.2). */
export class GlobalState {
  private readonly globals: readonly MutableGlobal[];
  private readonly exports: Exports;
  private readonly bytes: Uint8Array;
  private readonly view: DataView;

  constructor(globals: readonly MutableGlobal[], exports: Exports) {
    this.globals = globals;
    this.exports = exports;
    this.bytes = new Uint8Array(globals.length * GLOBAL_BYTES);
    this.view = new DataView(this.bytes.buffer);
  }

  /** Valid until the next call. */
  read(): Uint8Array {
    this.globals.forEach(({ index, type }, place) => {
      this.view.setUint8(place * GLOBAL_BYTES, type);
      const value = isFloat(type) ? this.readBits(index) : this.globalOf(index).value;
      // The instrumenter exports i32 and i64 globals, and bits of floats as those.
      const bits = typeof value === 'bigint' ? BigInt.asUintN(64, value) : BigInt((value as number) >>> 0);
      this.view.setBigUint64(place * GLOBAL_BYTES + 1, bits);
    });
    return this.bytes;
  }

  /** Sets all of them from bytes in which `findGlobalsFault` found nothing. */
  write(bytes: Uint8Array): void {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.globals.forEach(({ index, type }, place) => {
      const bits = view.getBigInt64(place * GLOBAL_BYTES + 1);
      const value = type === I32 || type === F32 ? Number(BigInt.asIntN(32, bits)) : bits;
      if (isFloat(type)) this.writeBits(index, value);
      else this.globalOf(index).value = value;
    });
  }

  private globalOf(index: number): WebAssembly.Global {
    return this.exports[GLOBAL_EXPORT_PREFIX + index] as WebAssembly.Global; // made by the instrumenter
  }

  private readBits(index: number): unknown {
    return (this.exports[READ_BITS_PREFIX + index] as () => unknown)(); // made by the instrumenter
  }

  private writeBits(index: number, bits: number | bigint): void {
    (this.exports[WRITE_BITS_PREFIX + index] as (bits: number | bigint) => void)(bits); // made by the instrumenter
  }
}

function isFloat(type: number): boolean {
  return type === F32 || type === F64;
}
