import { fileURLToPath } from 'node:url';

/** What a sandboxed Node runs, and the only files that it may read. */
export interface ChildProgram {
  readonly entry: string;
  readonly readable: readonly string[];
}

/** The child of the `wasm` executor: our own built or source files, whichever this module is one of. */
export function createWasmChildProgram(): ChildProgram {
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
  const at = (path: string): string => fileURLToPath(new URL(`../../${path}`, import.meta.url));
  return {
    entry: at(`sandbox/executors/wasm/child/entry.${extension}`),
    readable: [
      at('../package.json'),
      at('wasm'),
      at('sandbox/executors/wasm/child'),
      at('sandbox/protocol'),
      at(`sandbox/constants.${extension}`),
      at(`sandbox/errors.${extension}`),
      at(`lib/errors.${extension}`),
    ],
  };
}
