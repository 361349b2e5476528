/** npm run build: TypeScript to dist/, then the compiled code of every module into its cache. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '..');

/** False if the compiler found an error, which it has printed. */
export function build(): boolean {
  const isBuilt = runNode([join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', join(ROOT, 'tsconfig.build.json')]);
  return isBuilt && runNode([join(import.meta.dirname, 'warm-compile-cache.ts')]);
}

function runNode(args: readonly string[]): boolean {
  return spawnSync(process.execPath, args, { cwd: ROOT, stdio: 'inherit' }).status === 0;
}

if (import.meta.main && !build()) process.exitCode = 1;
