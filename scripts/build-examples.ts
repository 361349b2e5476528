/**
 * Compiles the examples' AssemblyScript to examples/<name>/build/<entry>.wasm. Does nothing where neither the sources
 * nor the compiler have changed; `--force` compiles anyway.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';

const ROOT = join(import.meta.dirname, '..');
/** As a program: its types would replace the global `console`. */
const COMPILER = join(ROOT, 'node_modules/assemblyscript');

/** The stub runtime imports nothing; `abort` becomes a trap; a declared maximum makes `memory.grow` deterministic. */
const COMMON_OPTIONS = ['-O3', '--runtime', 'stub', '--use', 'abort=', '--noColors'];

const EXAMPLES: readonly { readonly name: string; readonly entry: string; readonly options: readonly string[] }[] = [
  { name: 'digits', entry: 'trainer', options: ['--initialMemory', '64', '--maximumMemory', '256'] },
  { name: 'hello', entry: 'hello', options: ['--initialMemory', '1', '--maximumMemory', '256'] },
];

/** Compiles what has changed. Returns the paths of all modules. */
export function buildExamples(request: { readonly isForced: boolean }): readonly string[] {
  const modules: string[] = [];
  for (const example of EXAMPLES) {
    const folder = join(ROOT, 'examples', example.name);
    const module = join(folder, 'build', `${example.entry}.wasm`);
    const stamp = `${module}.stamp`;
    const digest = computeSourceDigest(folder, example.options);
    const isFresh = existsSync(module) && existsSync(stamp) && readFileSync(stamp, 'utf8') === digest;
    if (!isFresh || request.isForced) {
      mkdirSync(join(folder, 'build'), { recursive: true });
      compile(example, module);
      writeFileSync(stamp, digest);
    }
    modules.push(module);
  }
  return modules;
}

function computeSourceDigest(folder: string, options: readonly string[]): string {
  const hash = createHash('sha256').update(readFileSync(join(COMPILER, 'package.json')));
  hash.update(JSON.stringify([COMMON_OPTIONS, options]));
  for (const file of readdirSync(join(folder, 'assembly')).sort()) {
    hash.update(`${file}\0`).update(readFileSync(join(folder, 'assembly', file)));
  }
  return hash.digest('hex');
}

function compile(example: (typeof EXAMPLES)[number], module: string): void {
  const source = `examples/${example.name}/assembly/${example.entry}.ts`;
  const { status, stderr } = spawnSync(
    process.execPath,
    [join(COMPILER, 'bin/asc.js'), source, ...COMMON_OPTIONS, ...example.options, '--outFile', relative(ROOT, module)],
    { cwd: ROOT, encoding: 'utf8' },
  );
  if (status !== 0) throw new Error(`${source} does not compile:\n${stderr}`);
}

if (import.meta.main) {
  if (process.argv.includes('--help')) {
    console.log('Usage: scripts/node scripts/build-examples.ts [--force]');
  } else {
    for (const module of buildExamples({ isForced: process.argv.includes('--force') })) console.log(module);
  }
}
