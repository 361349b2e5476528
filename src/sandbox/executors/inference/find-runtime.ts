import { existsSync, readFileSync, realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import type { ChildProgram } from '../../isolation/child-program.ts';
import { listLibraries } from '../../isolation/launch-plan.ts';

/** ONNX Runtime as it was found on this host. */
export interface OnnxRuntime {
  readonly version: string;
  /** What a child loads. */
  readonly entry: string;
  readonly program: ChildProgram;
  /** Shared libraries that it needs besides those of Node. */
  readonly libraries: readonly string[];
}

export type RuntimeSearch =
  | { readonly kind: 'found'; readonly runtime: OnnxRuntime }
  | { readonly kind: 'missing'; readonly reason: string };

/** What says how to get it, wherever it is missed. */
export const INSTALL_RUNTIME = 'Run scripts/setup-inference: it installs onnxruntime-node (290 MB) from npm.';

const packageSchema = z.object({ name: z.literal('onnxruntime-node'), version: z.string().max(32) });

const isSource = import.meta.url.endsWith('.ts');
const at = (path: string): string => fileURLToPath(new URL(`../../../${path}`, import.meta.url));

/** The folder that scripts/setup-inference installs into. */
export const DEFAULT_RUNTIME_FOLDER = at('../runtimes/onnx');

/** Looks for the runtime in a folder with `node_modules`; nothing of it is loaded here. */
export function findRuntime(folder: string = DEFAULT_RUNTIME_FOLDER): RuntimeSearch {
  const home = join(folder, 'node_modules/onnxruntime-node');
  const common = join(folder, 'node_modules/onnxruntime-common');
  const natives = join(home, 'bin/napi-v6', process.platform, process.arch);
  const entry = join(home, 'dist/index.js');
  const missing = [join(home, 'package.json'), entry, common, join(natives, 'onnxruntime_binding.node')].find(
    (path) => !existsSync(path),
  );
  if (missing !== undefined)
    return { kind: 'missing', reason: `ONNX Runtime is not installed: there is no ${missing}` };
  const described = packageSchema.safeParse(readJson(join(home, 'package.json')));
  if (!described.success) return { kind: 'missing', reason: `${home} is no onnxruntime-node` };
  const { version } = described.data;
  const readable = [
    join(home, 'package.json'),
    join(home, 'dist'),
    natives,
    join(common, 'package.json'),
    join(common, 'dist'),
  ];
  const runtime = { version, entry, program: createProgram(readable), libraries: findLibraries() };
  return { kind: 'found', runtime };
}

function readJson(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    return null;
  }
}

/** Our own built or source files, whichever this module is one of, and those of the runtime. */
function createProgram(runtime: readonly string[]): ChildProgram {
  const extension = isSource ? 'ts' : 'js';
  const own = at('sandbox/executors/inference');
  return {
    entry: join(own, `child/entry.${extension}`),
    readable: [
      at('../package.json'),
      join(own, 'child'),
      join(own, `child-protocol.${extension}`),
      join(own, `constants.${extension}`),
      at(`sandbox/executors/wasm/child/request-input.${extension}`),
      at(`sandbox/constants.${extension}`),
      at(`lib/errors.${extension}`),
      at(`lib/npy.${extension}`),
      ...runtime.map((path) => realpathSync(path)),
    ],
  };
}

/** libonnxruntime.so names it; glibc has had it in libc since 2.34 and still brings it. */
function findLibraries(): readonly string[] {
  const libc = listLibraries().find((path) => path.endsWith('/libc.so.6'));
  const library = libc === undefined ? null : join(dirname(libc), 'librt.so.1');
  return library !== null && existsSync(library) ? [library] : [];
}
