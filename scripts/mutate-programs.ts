/**
 * npm run programs:mutate: takes each check of the Solana programs out, one at a time, in a copy; rebuilds it; and demands
 * that a test of test/programs goes red. Exit code 1 if a check can be taken out and nobody notices.
 */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { parseArgs } from 'node:util';
import pc from 'picocolors';
import { createMutants, type Mutant } from './programs/mutation/mutants.ts';
import { listTestFiles, runTests } from './programs/mutation/run-tests.ts';
import { listPrograms } from './programs/program-source.ts';

const ROOT = join(import.meta.dirname, '..');
const PROGRAMS = join(ROOT, 'programs');

const HELP = `Usage: npm run programs:mutate [-- OPTION...]

Takes each check!, some! and refuse! of programs/*/src out, negates it, moves its boundary; builds that; and demands that
a test of test/programs/<program> fails. Needs the toolchain of npm run programs:build.

  --program NAME   only this program
  --only TEXT      only checks whose id contains TEXT
  --report         writes programs/<program>/mutation-report.md (not with --only)
  --help           this text`;

interface Workplace {
  /** A copy of programs/, to be changed. */
  readonly sources: string;
  readonly artifacts: string;
  readonly program: string;
}

interface Result {
  readonly mutant: Mutant;
  readonly file: string;
  /** Null: nobody noticed. */
  readonly caughtBy: string | null;
}

function main(args: readonly string[]): void {
  const { values } = parseArgs({
    args: [...args],
    options: {
      program: { type: 'string' },
      only: { type: 'string', default: '' },
      report: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return console.log(HELP);
  const programs = listPrograms(PROGRAMS).map(({ packageName }) => packageName);
  for (const program of programs.filter((name) => values.program === undefined || name === values.program)) {
    const results = mutateProgram(program, values.only);
    if (values.report && values.only === '') {
      writeFileSync(join(PROGRAMS, program, 'mutation-report.md'), renderReport(program, results));
    }
    if (results.length === 0 || results.some(({ caughtBy }) => caughtBy === null)) process.exitCode = 1;
  }
}

function mutateProgram(program: string, only: string): Result[] {
  const folder = mkdtempSync(join(tmpdir(), 'fogproof-mutants-'));
  try {
    const place = { program, sources: join(folder, 'programs'), artifacts: join(folder, 'artifacts') };
    cpSync(PROGRAMS, place.sources, { recursive: true, filter: (path) => !/\/(target|artifacts)$/.test(path) });
    proveBaseline(place);
    const results = listSources(place).flatMap((file) => mutateFile(place, file, only));
    const survived = results.filter(({ caughtBy }) => caughtBy === null).length;
    const line = `${program}: ${results.length} mutants, ${results.length - survived} caught, ${survived} survived`;
    console.log(survived === 0 ? pc.green(line) : pc.red(line));
    return results;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Without this, tests that always fail would look like tests that notice everything. */
function proveBaseline(place: Workplace): void {
  build(place);
  const run = runTests(listTestFiles(place.program, ''), place.artifacts);
  if (run.kind === 'red') throw new Error(`the unchanged program fails a test already: ${run.test}`);
  console.log(`${place.program}: unchanged, ${run.tests} tests pass`);
}

function listSources({ sources, program }: Workplace): string[] {
  return readdirSync(join(sources, program, 'src'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.rs') && name !== 'check.rs')
    .sort()
    .map((name) => join(sources, program, 'src', name));
}

function mutateFile(place: Workplace, file: string, only: string): Result[] {
  const original = readFileSync(file, 'utf8');
  const name = relative(join(place.sources, place.program), file);
  try {
    return createMutants(original)
      .filter(({ check }) => check.includes(only))
      .map((mutant) => {
        writeFileSync(file, mutant.source);
        const result = { mutant, file: name, caughtBy: tryMutant(place, mutant) };
        const verdict = result.caughtBy === null ? pc.red('SURVIVED') : `caught by ${pc.dim(result.caughtBy)}`;
        console.log(`${mutant.check.padEnd(32)} ${mutant.change.padEnd(12)} ${verdict}`);
        return result;
      });
  } finally {
    writeFileSync(file, original);
  }
}

function tryMutant(place: Workplace, { check }: Mutant): string | null {
  build(place);
  const [likely = '', ...others] = listTestFiles(place.program, check);
  for (const files of [[likely], others]) {
    const run = runTests(files, place.artifacts);
    if (run.kind === 'red') return run.test;
  }
  return null;
}

function build({ sources, artifacts, program }: Workplace): void {
  const options = ['--programs-dir', sources, '--out', artifacts, '--program', program];
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [join(ROOT, 'scripts/build-programs.ts'), ...options, '--target-dir', join(PROGRAMS, 'target/mutants')],
    { cwd: ROOT, encoding: 'utf8' },
  );
  if (status !== 0) throw new Error(`the changed program does not build:\n${stdout}${stderr}`);
}

function renderReport(program: string, results: readonly Result[]): string {
  const rows = results.map(({ mutant, file, caughtBy }) => {
    const cells = [`\`${mutant.check}\``, file, mutant.change, caughtBy ?? '**nobody**'];
    return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  });
  const checks = new Set(results.map(({ mutant }) => mutant.check)).size;
  const survived = results.filter(({ caughtBy }) => caughtBy === null).length;
  return `# Mutation report of ${program}

Written by \`npm run programs:mutate -- --report\`; do not edit. Every refusal of the program was taken out, negated and moved
by one, one at a time, in a copy that was compiled and tested: ${checks} checks, ${results.length} mutants, ${survived} survived.

| check | file | change | first test that failed |
|---|---|---|---|
${rows.join('\n')}
`;
}

if (import.meta.main) main(process.argv.slice(2));
