import { open } from 'node:fs/promises';
import { describeError, isDaemonError } from '../../lib/errors.ts';
import { type AbiName, prepareProgram } from '../../wasm/runtime/prepare-program.ts';

/** `\0asm` and version 1: how every WebAssembly module begins (WebAssembly core specification 5.5.16). */
const WASM_MAGIC = '0061736d01000000';
/** Bytes of a WebAssembly page. */
const PAGE_BYTES = 65_536;

export interface Reason {
  readonly message: string;
  readonly hint: string;
}

export interface ModuleUse {
  readonly abi: AbiName;
  readonly memoryBytes: number;
}

/** Why a provider would refuse the module, found by the same steps; undefined if it would not. */
export async function checkModule(path: string, use: ModuleUse): Promise<Reason | undefined> {
  let bytes: Uint8Array;
  try {
    await using file = await open(path, 'r');
    const { buffer } = await file.read(Buffer.alloc(8), 0, 8, 0);
    if (buffer.toString('hex') !== WASM_MAGIC) return notAModule(path);
    // The read above named its position, so the file's own is still at the start.
    bytes = new Uint8Array(await file.readFile());
  } catch (error) {
    return describeMissing(path, error);
  }
  try {
    prepareProgram(bytes, { abi: use.abi, maxPages: Math.floor(use.memoryBytes / PAGE_BYTES) });
    return undefined;
  } catch (error) {
    if (!isDaemonError(error)) throw error;
    return { message: error.message, hint: error.hint };
  }
}

function notAModule(path: string): Reason {
  return {
    message: `${path} is no WebAssembly module: it does not begin with \\0asm and version 1`,
    hint: 'Name the binary module (.wasm); text (.wat) and components are not taken.',
  };
}

export function describeMissing(path: string, error: unknown): Reason {
  const isMissing = error instanceof Error && 'code' in error && error.code === 'ENOENT';
  return {
    message: isMissing ? `${path} does not exist` : `${path} cannot be read: ${describeError(error)}`,
    hint: 'Relative paths start at the folder of the job file.',
  };
}
