import { hash } from 'node:crypto';
import { InternalError } from '../../../../lib/errors.ts';
import { WasmError } from '../../../../wasm/errors.ts';
import { type InstrumentedModule, instrument } from '../../../../wasm/instrument/instrument.ts';
import {
  type AbiName,
  isSteppingAbi,
  type PreparedProgram,
  prepareInstrumented,
  prepareProgram,
} from '../../../../wasm/runtime/prepare-program.ts';
import { CHILD_MAX_PROGRAMS } from '../../../constants.ts';
import { readTrustedContent } from '../../../protocol/instrumented-content.ts';

export type CachedProgram =
  | { readonly kind: 'ready'; readonly program: PreparedProgram; readonly digest: Uint8Array }
  | { readonly kind: 'refused'; readonly error: WasmError };

type Source = { readonly original: Uint8Array } | { readonly instrumented: InstrumentedModule };

/** Modules by the digest that the parent gives them; which ones a child holds is the parent's to say. */
export class ProgramCache {
  private readonly sources = new Map<string, Source>();
  private readonly programs = new Map<string, CachedProgram>();

  add(digest: string, bytes: Uint8Array): void {
    this.sources.set(digest, { original: bytes });
  }

  /** The content of a module that was instrumented for the one ABI and limit that it is asked for with. */
  addInstrumented(digest: string, content: Uint8Array): void {
    const instrumented = readTrustedContent(content);
    if (instrumented === null) throw new InternalError('a module of the cache is cut off');
    this.sources.set(digest, { instrumented });
  }

  /** What the instrumenter makes of a module. @throws WasmError */
  instrument(digest: string, options: { readonly abi: AbiName; readonly maxPages: number }): InstrumentedModule | null {
    const source = this.sources.get(digest);
    if (source === undefined || !('original' in source)) return null;
    return instrument(source.original, { maxPages: options.maxPages, isStepping: isSteppingAbi(options.abi) });
  }

  drop(digest: string): void {
    this.sources.delete(digest);
    for (const key of this.programs.keys()) if (key.startsWith(digest)) this.programs.delete(key);
  }

  get(digest: string, abi: AbiName, maxPages: number): CachedProgram | null {
    const key = `${digest}:${abi}:${maxPages}`;
    const known = this.programs.get(key);
    if (known !== undefined) return known;
    const source = this.sources.get(digest);
    if (source === undefined) return null;
    const prepared = prepare(source, { abi, maxPages });
    for (const oldest of this.programs.keys()) {
      if (this.programs.size < CHILD_MAX_PROGRAMS) break;
      this.programs.delete(oldest);
    }
    this.programs.set(key, prepared);
    return prepared;
  }
}

function prepare(source: Source, options: Parameters<typeof prepareProgram>[1]): CachedProgram {
  try {
    const program =
      'original' in source
        ? prepareProgram(source.original, options)
        : prepareInstrumented(source.instrumented, options.abi);
    return { kind: 'ready', program, digest: hash('sha256', program.instrumented.bytes, 'buffer') };
  } catch (error) {
    if (error instanceof WasmError) return { kind: 'refused', error };
    throw error;
  }
}
