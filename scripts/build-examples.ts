/**
 * Compiles the examples (AssemblyScript, C) to examples/<name>/build/<entry>.wasm, the root of examples/command, the image of examples/container and the model of examples/inference. Does nothing where neither the sources
 * nor the compiler have changed; `--force` compiles anyway.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, join, relative } from 'node:path';
import { buildImage, buildLayer, writeLayout } from './build-image.ts';
import { buildRoot, compileStatic, findStaticCompiler } from './build-root.ts';
import { buildDigits } from './onnx/build-digits.ts';

const ROOT = join(import.meta.dirname, '..');
/** As a program: its types would replace the global `console`. */
const COMPILER = join(ROOT, 'node_modules/assemblyscript');

/** The stub runtime imports nothing; `abort` becomes a trap; a declared maximum makes `memory.grow` deterministic. */
const ASSEMBLYSCRIPT_OPTIONS = ['-O3', '--runtime', 'stub', '--use', 'abort=', '--noColors'];
const C_OPTIONS = [
  '--target=wasm32',
  '-O3',
  '-nostdlib',
  '-mbulk-memory',
  '-Wall',
  '-Wextra',
  '-Werror',
  '-Wl,--no-entry',
  '-Wl,--strip-all',
  '-Wl,-z,stack-size=65536',
];

/** Clang runs a wasm-opt that it finds; npm puts one of a dependency on the path, which knows none of these options. */
const PATH = (process.env['PATH'] ?? '')
  .split(delimiter)
  .filter((folder) => !folder.endsWith(join('node_modules', '.bin')))
  .join(delimiter);

interface Example {
  readonly name: string;
  readonly entry: string;
  readonly language: 'assemblyscript' | 'c';
  readonly options: readonly string[];
}

const EXAMPLES: readonly Example[] = [
  {
    name: 'digits',
    entry: 'trainer',
    language: 'assemblyscript',
    options: ['--initialMemory', '64', '--maximumMemory', '256'],
  },
  {
    name: 'embeddings',
    entry: 'embeddings',
    language: 'assemblyscript',
    options: ['--initialMemory', '1', '--maximumMemory', '2048'],
  },
  {
    name: 'hello',
    entry: 'hello',
    language: 'assemblyscript',
    options: ['--initialMemory', '1', '--maximumMemory', '256'],
  },
  { name: 'ising', entry: 'ising', language: 'c', options: ['-Wl,--max-memory=33554432'] },
  { name: 'rounds', entry: 'rounds', language: 'c', options: ['-Wl,--max-memory=33554432'] },
];

const SOURCES = { assemblyscript: { folder: 'assembly', extension: 'ts' }, c: { folder: 'source', extension: 'c' } };

/** Whether the compiler of the examples in C is here: clang with wasm-ld (Debian: clang, lld). */
export function hasCCompiler(): boolean {
  return ['clang', 'wasm-ld'].every((program) => spawnSync(program, ['--version']).status === 0);
}

/** Compiles what has changed. Returns the paths of all modules; without a C compiler those in C are left out. */
export function buildExamples(request: { readonly isForced: boolean }): readonly string[] {
  const modules: string[] = [];
  const isCHere = hasCCompiler();
  for (const example of EXAMPLES) {
    if (example.language === 'c' && !isCHere) continue;
    const folder = join(ROOT, 'examples', example.name);
    const module = join(folder, 'build', `${example.entry}.wasm`);
    const stamp = `${module}.stamp`;
    const digest = computeSourceDigest(folder, example);
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

function computeSourceDigest(folder: string, { language, options }: Example): string {
  const hash = createHash('sha256').update(readFileSync(join(COMPILER, 'package.json')));
  hash.update(JSON.stringify([ASSEMBLYSCRIPT_OPTIONS, C_OPTIONS, options]));
  for (const sources of [join(folder, SOURCES[language].folder), join(ROOT, 'sdk', language)]) {
    for (const file of readdirSync(sources).sort()) hash.update(`${file}\0`).update(readFileSync(join(sources, file)));
  }
  return hash.digest('hex');
}

function compile(example: Example, module: string): void {
  const { folder, extension } = SOURCES[example.language];
  const source = `examples/${example.name}/${folder}/${example.entry}.${extension}`;
  const output = relative(ROOT, module);
  const [program, options] =
    example.language === 'c'
      ? (['clang', [...C_OPTIONS, ...example.options, '-o', output, source]] as const)
      : ([
          process.execPath,
          [join(COMPILER, 'bin/asc.js'), source, ...ASSEMBLYSCRIPT_OPTIONS, ...example.options, '--outFile', output],
        ] as const);
  const { status, stderr } = spawnSync(program, options, {
    cwd: ROOT,
    encoding: 'utf8',
    env: { ...process.env, PATH },
  });
  if (status !== 0) throw new Error(`${source} does not compile:\n${stderr}`);
}

/** Examples that are plain programs, each in a root of its own. */
const ROOTS = { command: 'orbits', training: 'softmax' } as const;

/** Builds the root of an example if its source or the compiler has changed; undefined without a compiler for it. */
export async function buildExampleRoot(
  example: keyof typeof ROOTS,
  request: { readonly isForced: boolean },
): Promise<string | undefined> {
  const compiler = findStaticCompiler();
  if (compiler === undefined) return undefined;
  const folder = join(ROOT, 'examples', example);
  const program = ROOTS[example];
  const source = join(folder, `source/${program}.c`);
  const archive = join(folder, 'build/root.tar.gz');
  const { stdout: version } = spawnSync(compiler, ['--version'], { encoding: 'utf8' });
  const builder = readFileSync(join(import.meta.dirname, 'build-root.ts'));
  const digest = createHash('sha256').update(readFileSync(source)).update(builder).update(version).digest('hex');
  const stamp = `${archive}.stamp`;
  const isFresh = existsSync(archive) && existsSync(stamp) && readFileSync(stamp, 'utf8') === digest;
  if (isFresh && !request.isForced) return archive;
  mkdirSync(join(folder, 'build'), { recursive: true });
  await buildRoot(compiler, { source, program: `bin/${program}`, archive });
  writeFileSync(stamp, digest);
  return archive;
}

const CONTAINER_FOLDER = join(ROOT, 'examples/container');

/** Builds the image of examples/container, of the program of examples/command; undefined without a compiler for it. */
export async function buildContainerImage(request: { readonly isForced: boolean }): Promise<string | undefined> {
  const compiler = findStaticCompiler();
  if (compiler === undefined) return undefined;
  const source = join(ROOT, 'examples/command/source/orbits.c');
  const layout = join(CONTAINER_FOLDER, 'build/image');
  const { stdout: version } = spawnSync(compiler, ['--version'], { encoding: 'utf8' });
  const builder = readFileSync(join(import.meta.dirname, 'build-image.ts'));
  const digest = createHash('sha256').update(readFileSync(source)).update(builder).update(version).digest('hex');
  const stamp = `${layout}.stamp`;
  const isFresh = existsSync(layout) && existsSync(stamp) && readFileSync(stamp, 'utf8') === digest;
  if (isFresh && !request.isForced) return layout;
  mkdirSync(join(CONTAINER_FOLDER, 'build'), { recursive: true });
  const program = `${layout}.program`;
  compileStatic(compiler, source, program);
  const layer = await buildLayer([{ name: 'bin/bodies', mode: 0o755, content: readFileSync(program) }]);
  rmSync(program);
  rmSync(layout, { recursive: true, force: true });
  await writeLayout(layout, buildImage([layer], { Entrypoint: ['/bin/bodies'], Cmd: ['1'], WorkingDir: '/' }));
  writeFileSync(stamp, digest);
  return layout;
}

if (import.meta.main) {
  if (process.argv.includes('--help')) {
    console.log('Usage: scripts/node scripts/build-examples.ts [--force]');
  } else {
    const isForced = process.argv.includes('--force');
    for (const module of buildExamples({ isForced })) console.log(module);
    console.log(buildDigits({ isForced }).model);
    for (const example of ['command', 'training'] as const) {
      const root = await buildExampleRoot(example, { isForced });
      if (root !== undefined) console.log(root);
      else
        console.error(`examples/${example} was left out: it needs a C compiler and a static C library (Debian: gcc)`);
    }
    const image = await buildContainerImage({ isForced });
    if (image !== undefined) console.log(image);
    else console.error('examples/container was left out: it needs a C compiler and a static C library (Debian: gcc)');
    if (!hasCCompiler())
      console.error('examples in C were left out: they need clang and wasm-ld (Debian: apt install clang lld)');
  }
}
