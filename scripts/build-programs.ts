/** npm run programs:build: compiles the Solana programs of programs/ and writes programs/artifacts. */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { isDeepStrictEqual, parseArgs } from 'node:util';
import { isDaemonError } from '../src/lib/errors.ts';
import { compileProgram } from './programs/compile.ts';
import { ProgramBuildError } from './programs/errors.ts';
import { decodeImage } from './programs/image.ts';
import { EMPTY_MANIFEST, type ProgramRecord, readManifest, writeManifest } from './programs/manifest.ts';
import { listPrograms, type ProgramSource } from './programs/program-source.ts';
import { scanProgram } from './programs/scan.ts';
import { describeVersions, findToolchain, type Toolchain } from './programs/toolchain.ts';

const ROOT = join(import.meta.dirname, '..');

const HELP = `Usage: npm run programs:build [-- OPTION...]

Compiles every program of programs/ (SBPF v3) and writes programs/artifacts/<crate>.so and manifest.json.
scripts/setup-programs installs what it needs.

  --check               writes nothing there: fails if an artefact is not that of its source. Rebuilds to --out and
                        compares the bytes if the toolchain is that of the manifest; if not, it says so, and what was
                        rebuilt is to be tested: FOGPROOF_PROGRAMS_DIR=<out> npm test
  --program NAME        only this program; may be repeated
  --out DIR             where to write (programs/artifacts; with --check programs/target/check)
  --programs-dir DIR    a copy of programs/ to build (its artifacts/ and target/ are the defaults then)
  --target-dir DIR      where cargo keeps what it compiled (programs/target): the first build compiles core, about 30 s
  --help                this text`;

interface BuildOptions {
  readonly isCheck: boolean;
  readonly programsFolder: string;
  readonly artifactsFolder: string;
  readonly outFolder: string;
  readonly targetFolder: string;
  readonly wanted: readonly string[];
}

function main(args: readonly string[]): void {
  const options = parseOptions(args);
  if (options === undefined) return console.log(HELP);
  const programs = selectPrograms(options);
  if (options.isCheck) for (const program of programs) checkCommitted(options, program);
  const toolchain = findToolchain();
  console.log(describeVersions(toolchain.versions));
  mkdirSync(options.outFolder, { recursive: true });
  for (const program of programs) {
    const record = buildProgram(options, program, toolchain);
    if (options.isCheck) compare(options, program, record);
  }
}

function parseOptions(args: readonly string[]): BuildOptions | undefined {
  const { values } = parseArgs({
    args: [...args],
    options: {
      check: { type: 'boolean', default: false },
      program: { type: 'string', multiple: true, default: [] },
      out: { type: 'string' },
      'programs-dir': { type: 'string', default: join(ROOT, 'programs') },
      'target-dir': { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return undefined;
  const programsFolder = resolve(values['programs-dir']);
  const artifactsFolder = join(programsFolder, 'artifacts');
  const targetFolder = resolve(values['target-dir'] ?? join(programsFolder, 'target'));
  return {
    isCheck: values.check,
    programsFolder,
    artifactsFolder,
    targetFolder,
    outFolder: resolve(values.out ?? (values.check ? join(targetFolder, 'check') : artifactsFolder)),
    wanted: values.program,
  };
}

function selectPrograms({ programsFolder, wanted }: BuildOptions): readonly ProgramSource[] {
  const programs = listPrograms(programsFolder);
  const known = programs.map(({ packageName }) => packageName);
  const unknown = wanted.find((name) => !known.includes(name));
  if (unknown !== undefined || known.length === 0) {
    throw new ProgramBuildError({ code: 'PROGRAMS_UNKNOWN', name: unknown ?? `in ${programsFolder}`, known });
  }
  return wanted.length === 0 ? programs : programs.filter(({ packageName }) => wanted.includes(packageName));
}

function buildProgram(options: BuildOptions, program: ProgramSource, toolchain: Toolchain): ProgramRecord {
  const { programsFolder, targetFolder, outFolder } = options;
  const startedAtMs = performance.now();
  const { image, report } = compileProgram({ toolchain, programsFolder, targetFolder, program });
  const record: ProgramRecord = {
    file: `${program.crateName}.so`,
    sha256: computeSha256(image),
    sizeBytes: image.length,
    instructions: report.instructions,
    syscalls: [...report.syscalls],
    sourcesSha256: program.sourcesSha256,
    toolchain: toolchain.versions,
  };
  writeFileSync(join(outFolder, record.file), image);
  const manifest = existsSync(join(outFolder, 'manifest.json')) ? readManifest(outFolder) : EMPTY_MANIFEST;
  writeManifest(outFolder, { ...manifest, programs: { ...manifest.programs, [program.crateName]: record } });
  const seconds = ((performance.now() - startedAtMs) / 1000).toFixed(1);
  console.log(`${join(outFolder, record.file)}: ${record.sizeBytes} bytes, sha256 ${record.sha256}, ${seconds} s`);
  return record;
}

/** What can be said without a toolchain: the artefact is the manifest's, runs, and the source is the one it was made of. */
function checkCommitted({ artifactsFolder }: BuildOptions, program: ProgramSource): void {
  const stale = (reason: string): ProgramBuildError =>
    new ProgramBuildError({ code: 'PROGRAMS_STALE', program: program.packageName, reason });
  const record = readManifest(artifactsFolder).programs[program.crateName];
  if (record === undefined) throw stale('it is not in the manifest');
  if (record.sourcesSha256 !== program.sourcesSha256) throw stale('the source has changed since');
  const path = join(artifactsFolder, record.file);
  if (!existsSync(path)) throw stale(`there is no ${record.file}`);
  const image = readFileSync(path);
  if (computeSha256(image) !== record.sha256) throw stale(`${record.file} has another SHA-256 than the manifest says`);
  scanProgram(decodeImage(image));
}

function compare(options: BuildOptions, program: ProgramSource, rebuilt: ProgramRecord): void {
  const committed = readManifest(options.artifactsFolder).programs[program.crateName];
  if (committed === undefined) return;
  if (!isDeepStrictEqual(committed.toolchain, rebuilt.toolchain)) {
    console.log(
      `${program.packageName}: NOT COMPARED, the committed artefact is of another toolchain ` +
        `(${describeVersions(committed.toolchain)}).\n` +
        `  What was rebuilt is what is to be tested: FOGPROOF_PROGRAMS_DIR=${options.outFolder}`,
    );
    return;
  }
  if (committed.sha256 !== rebuilt.sha256) {
    throw new ProgramBuildError({
      code: 'PROGRAMS_MISMATCH',
      program: program.packageName,
      committed: committed.sha256,
      rebuilt: rebuilt.sha256,
    });
  }
  console.log(`${program.packageName}: byte-identical to the committed artefact`);
}

function computeSha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

if (import.meta.main) {
  try {
    main(process.argv.slice(2));
  } catch (error) {
    if (!isDaemonError(error)) throw error;
    console.error(`${error.code}: ${error.message}\n  ${error.hint}`);
    process.exitCode = 1;
  }
}
