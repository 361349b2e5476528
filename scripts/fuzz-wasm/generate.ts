import fs, { readFileSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { compileFunction } from 'node:vm';

const WASM_OPT = join(import.meta.dirname, '../../node_modules/binaryen/bin/wasm-opt');
/** How the tool starts itself, at the very end of its program. */
const LAST_STATEMENT = /createWasm\(\)\.then\(\(\)=>run\(\)\);\s*$/;
const PARAMETERS = ['Module', 'require', 'module', '__filename', '__dirname', 'WebAssembly', 'process'];

/** The tool writes what it thinks of a module to the descriptors of stdout and stderr. */
const QUIET_FILES = Object.create(fs, {
  writeSync: {
    value: (descriptor: number, bytes: Uint8Array, ...rest: number[]) =>
      descriptor <= 2 ? (rest[1] ?? bytes.length) : fs.writeSync(descriptor, bytes, ...rest),
  },
}) as typeof fs;

type Imports = Readonly<Record<string, Readonly<Record<string, unknown>>>>;
type Main = (...values: readonly unknown[]) => Promise<void>;

/**
 * binaryen's wasm-opt, run again and again in this process: its program is parsed and its WebAssembly compiled once,
 * where a process for each module would take ten times as long.
 */
class WasmOpt {
  private readonly main: Main;
  private compiled: WebAssembly.Module | null = null;

  constructor() {
    const program = readFileSync(WASM_OPT, 'utf8').replace(/^#!.*/, '');
    if (!LAST_STATEMENT.test(program)) throw new TypeError('this version of wasm-opt starts in another way');
    this.main = compileFunction(program.replace(LAST_STATEMENT, 'return $&'), PARAMETERS) as Main;
  }

  /** Rejects where the tool aborts; what it exits with is not looked at. */
  async run(words: readonly string[]): Promise<void> {
    const engine = Object.create(WebAssembly, {
      instantiate: { value: async (binary: Uint8Array, imports: Imports) => this.instantiate(binary, imports) },
    }) as typeof WebAssembly;
    const surroundings = Object.create(process, {
      argv: { value: ['node', 'wasm-opt', ...words] },
      exitCode: { value: undefined, writable: true },
      on: { value: () => surroundings },
    }) as typeof process;
    const load = createRequire(WASM_OPT);
    const require = (name: string): unknown => (/^(node:)?fs$/.test(name) ? QUIET_FILES : load(name));
    await this.main(
      { printErr: () => {} },
      require,
      { exports: {} },
      WASM_OPT,
      dirname(WASM_OPT),
      engine,
      surroundings,
    );
  }

  private instantiate(binary: Uint8Array, imports: Imports): object {
    this.compiled ??= new WebAssembly.Module(binary);
    return { module: this.compiled, instance: new WebAssembly.Instance(this.compiled, imports) };
  }
}

/** Random valid modules from random bytes (`--translate-to-fuzz`): a generator that knows nothing of our instrumenter. */
export class ModuleGenerator implements AsyncDisposable {
  private readonly tool = new WasmOpt();
  private readonly folder: Promise<string>;

  constructor() {
    this.folder = mkdtemp(join(tmpdir(), 'fogproof-fuzz-'));
  }

  /** Null where the tool itself fails. */
  async generate(input: Uint8Array, flags: readonly string[]): Promise<Uint8Array | null> {
    const folder = await this.folder;
    const [source, target] = [join(folder, 'input'), join(folder, 'module.wasm')];
    await writeFile(source, input);
    try {
      await this.tool.run([source, '-ttf', ...flags, '-o', target]);
      return new Uint8Array(await readFile(target));
    } catch {
      return null;
    } finally {
      await rm(target, { force: true });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(await this.folder, { recursive: true, force: true });
  }
}
