import { spawnSync } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { ProgramBuildError } from './errors.ts';
import { encodeImage } from './image.ts';
import { MEMORY_FUNCTIONS } from './memory-functions.ts';
import { parseObjectFile } from './object-file.ts';
import type { ProgramSource } from './program-source.ts';
import { relink } from './relink.ts';
import { type ScanReport, scanProgram } from './scan.ts';
import type { Toolchain } from './toolchain.ts';

/** What a program and `core` are compiled for. `v2` and no `alu32`: see scan.ts for what 32-bit arithmetic does. */
const TARGET = 'bpfel-unknown-none';
const CPU = 'v2';
const FEATURES = '+allows-misaligned-mem-access';
const FRAME_BYTES = 4096;

/**
 * A feature of compiler_builtins, which exports memcpy and its like as loops over bytes otherwise. They would be internal
 * to the module, so that LTO fits them to their callers (drops a length that is always the same); ours are outside of it.
 */
const NO_MEMORY_FUNCTIONS: readonly string[] = ['--cfg', 'feature="mangled-names"'];

const LLC_ARGUMENTS: readonly string[] = [
  '-march=bpf',
  `-mcpu=${CPU}`,
  `-mattr=${FEATURES}`,
  '-O3',
  `-bpf-stack-size=${FRAME_BYTES}`,
  '-function-sections',
  '-data-sections',
  '-filetype=obj',
  '-o',
  '-',
  '-',
];

const MAX_OUTPUT_BYTES = 64 * 1024 * 1024;

/** Of a developer's environment, what would change the result or bring in another compiler. */
const DROPPED_VARIABLES = /^(RUST|CARGO_(BUILD|TARGET|PROFILE|ENCODED|UNSTABLE|CFG|INCREMENTAL)|CARGO$)/;

export interface CompiledProgram {
  readonly image: Uint8Array;
  readonly report: ScanReport;
}

export interface CompileRequest {
  readonly toolchain: Toolchain;
  readonly programsFolder: string;
  readonly targetFolder: string;
  readonly program: ProgramSource;
}

/** Rust to one bitcode module (fat LTO), to a BPF object, to the file that goes on chain. */
export function compileProgram(request: CompileRequest): CompiledProgram {
  const object = compileToObject(request, compileToBitcode(request));
  const linked = relink(parseObjectFile(object));
  return { image: encodeImage(linked), report: scanProgram(linked) };
}

function compileToBitcode({ toolchain, programsFolder, targetFolder, program }: CompileRequest): Buffer {
  const cargoHome = process.env['CARGO_HOME'] ?? join(homedir(), '.cargo');
  const flags = [
    `-Ctarget-cpu=${CPU}`,
    `-Ctarget-feature=${FEATURES}`,
    `--remap-path-prefix=${cargoHome}=/cargo`,
    ...NO_MEMORY_FUNCTIONS,
  ];
  const args = [
    'rustc',
    '--release',
    '--locked',
    '--lib',
    '--crate-type',
    'staticlib',
    '--package',
    program.packageName,
  ];
  const { status, stderr } = spawnSync(
    toolchain.cargo,
    [...args, '--target', TARGET, '-Zbuild-std=core,alloc', '--target-dir', targetFolder, '--quiet'],
    {
      cwd: programsFolder,
      encoding: 'utf8',
      maxBuffer: MAX_OUTPUT_BYTES,
      env: {
        ...keepEnvironment(),
        RUSTC: toolchain.rustc,
        // Debian's is a stable compiler; `-Zbuild-std` is not stable, and there is no other way to `core` for BPF.
        RUSTC_BOOTSTRAP: '1',
        CARGO_ENCODED_RUSTFLAGS: flags.join('\x1f'),
        CARGO_TERM_COLOR: 'never',
      },
    },
  );
  if (status !== 0) {
    throw new ProgramBuildError({ code: 'PROGRAMS_COMPILE', program: program.packageName, output: stderr });
  }
  return extractBitcode(toolchain, program, join(targetFolder, TARGET, 'release', `lib${program.crateName}.a`));
}

function keepEnvironment(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !DROPPED_VARIABLES.test(name)));
}

function extractBitcode(toolchain: Toolchain, program: ProgramSource, archive: string): Buffer {
  const names = spawnSync(toolchain.llvmAr, ['t', archive], { encoding: 'utf8' }).stdout.split('\n');
  const [name, ...others] = names.filter((entry) => entry.endsWith('.rcgu.o'));
  if (name === undefined || others.length > 0) {
    const output = `${archive} holds ${others.length + (name === undefined ? 0 : 1)} modules where one is expected: is [profile.release] of programs/Cargo.toml still lto = "fat", codegen-units = 1?`;
    throw new ProgramBuildError({ code: 'PROGRAMS_COMPILE', program: program.packageName, output });
  }
  const { status, stdout, stderr } = spawnSync(toolchain.llvmAr, ['p', archive, name], { maxBuffer: MAX_OUTPUT_BYTES });
  if (status === 0) return stdout;
  throw new ProgramBuildError({ code: 'PROGRAMS_COMPILE', program: program.packageName, output: stderr.toString() });
}

/**
 * LLVM's BPF backend calls every call of a memory function an error, and writes it all the same; the relinker resolves
 * them. Any other error is one. It writes only to a file that it does not own: it removes its own, and never flushes a
 * pipe, after an error.
 */
function compileToObject({ toolchain, targetFolder, program }: CompileRequest, bitcode: Buffer): Buffer {
  const path = join(targetFolder, `${program.crateName}.o`);
  const file = openSync(path, 'w+');
  try {
    const { stderr, signal } = spawnSync(toolchain.llc, LLC_ARGUMENTS, {
      input: bitcode,
      stdio: ['pipe', file, 'pipe'],
      maxBuffer: MAX_OUTPUT_BYTES,
      env: { ...keepEnvironment(), LC_ALL: 'C' },
    });
    const died = signal === null ? undefined : { where: 'it', reason: `llc ended with ${signal}` };
    const complaint = findComplaint(stderr.toString('utf8')) ?? died;
    if (complaint === undefined) return readFileSync(path);
    throw new ProgramBuildError({ code: 'PROGRAMS_UNSUPPORTED', program: program.packageName, ...complaint });
  } finally {
    closeSync(file);
  }
}

export interface Complaint {
  readonly where: string;
  readonly reason: string;
}

const TOLERATED = new RegExp(
  `: A call to built-in function '(${[...MEMORY_FUNCTIONS.keys()].join('|')})' is not supported`,
);

/** The first thing in llc's output that is not about a memory function. */
export function findComplaint(output: string): Complaint | undefined {
  for (const line of output.split('\n')) {
    if (line.trim() === '' || TOLERATED.test(line)) continue;
    const [, where, reason] = /in function (\S+) [^:]*\): (.*)$/.exec(line) ?? [];
    return { where: where === undefined ? 'it' : `the function ${where}`, reason: reason ?? line };
  }
  return undefined;
}
