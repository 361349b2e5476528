import { hash } from 'node:crypto';
import { WasmError } from '../../../../wasm/errors.ts';
import { type AbiName, type PreparedProgram, prepareProgram } from '../../../../wasm/runtime/prepare-program.ts';
import { CHILD_MAX_PROGRAMS } from '../../../constants.ts';

export type CachedProgram =
  | { readonly kind: 'ready'; readonly program: PreparedProgram; readonly digest: Uint8Array }
  | { readonly kind: 'refused'; readonly error: WasmError };

/** Modules by the digest of their original bytes; which ones a child holds is the parent's to say. */
export class ProgramCache {
  private readonly modules = new Map<string, Uint8Array>();
  private readonly programs = new Map<string, CachedProgram>();

  add(digest: string, bytes: Uint8Array): void {
    this.modules.set(digest, bytes);
  }

  drop(digest: string): void {
    this.modules.delete(digest);
    for (const key of this.programs.keys()) if (key.startsWith(digest)) this.programs.delete(key);
  }

  get(digest: string, abi: AbiName, maxPages: number): CachedProgram | null {
    const key = `${digest}:${abi}:${maxPages}`;
    const known = this.programs.get(key);
    if (known !== undefined) return known;
    const bytes = this.modules.get(digest);
    if (bytes === undefined) return null;
    const prepared = prepare(bytes, { abi, maxPages });
    for (const oldest of this.programs.keys()) {
      if (this.programs.size < CHILD_MAX_PROGRAMS) break;
      this.programs.delete(oldest);
    }
    this.programs.set(key, prepared);
    return prepared;
  }
}

function prepare(bytes: Uint8Array, options: Parameters<typeof prepareProgram>[1]): CachedProgram {
  try {
    const program = prepareProgram(bytes, options);
    return { kind: 'ready', program, digest: hash('sha256', program.instrumented.bytes, 'buffer') };
  } catch (error) {
    if (error instanceof WasmError) return { kind: 'refused', error };
    throw error;
  }
}
