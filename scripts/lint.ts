/**
 * npm run lint: oxlint over the tree with type information, then the same rules over planted violations
 * (test/fixtures/layers), which must all be found, so that no rule can go quiet; then what a linter cannot say.
 */
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '..');
const FIXTURE = 'test/fixtures/layers';
const TREE = ['src', 'scripts', 'test', 'bench', 'oxlint.config.ts', 'vitest.config.ts'];

/** File of the fixture and the rule that must complain about it. */
const PLANTED: readonly (readonly [file: string, rule: string])[] = [
  ['storage/upward.ts', 'no-restricted-imports'],
  ['storage/upward-type.ts', 'no-restricted-imports'],
  ['storage/upward-dynamic.ts', 'no-restricted-imports'],
  ['scheduler/insides.ts', 'no-restricted-imports'],
  ['scheduler/requester/deep-insides.ts', 'no-restricted-imports'],
  ['bundle/cycle-a.ts', 'no-cycle'],
  ['scheduler/loose.ts', 'no-explicit-any'],
  ['scheduler/loose.ts', 'no-unsafe-member-access'],
  ['scheduler/forgotten.ts', 'no-floating-promises'],
  ['scheduler/default-export.ts', 'no-default-export'],
];
/** Files of the fixture that break no rule. */
const INNOCENT = ['scheduler/allowed.ts', 'network/gossip/topics.ts', 'lib/words.ts'];

/** What oxlint has no rule for. `enum`, namespaces and parameter properties are errors of tsc (erasableSyntaxOnly). */
const HOUSE_RULES: readonly { readonly pattern: RegExp; readonly message: string }[] = [
  {
    pattern: /throw new Error\(/,
    message: 'throw a coded DaemonError, UsageError or InternalError, never a plain one (style guide, section 5)',
  },
  { pattern: /\bTODO\b(?!\(#\d+\))/, message: 'write TODO(#issue) or nothing (style guide, section 6)' },
];

interface Finding {
  readonly code: string;
  readonly filename: string;
}

function runOxlint(args: readonly string[]): { status: number | null; stdout: string; stderr: string } {
  const binary = join(ROOT, 'node_modules/oxlint/bin/oxlint');
  const { status, stdout, stderr } = spawnSync(process.execPath, [binary, '--type-aware', ...args], {
    cwd: ROOT,
    encoding: 'utf8',
    maxBuffer: 64 * 2 ** 20,
  });
  return { status, stdout, stderr };
}

function lintTree(extra: readonly string[]): boolean {
  const run = runOxlint([...TREE, '--ignore-pattern', `${FIXTURE}/**`, '--report-unused-disable-directives', ...extra]);
  process.stdout.write(run.stdout);
  process.stderr.write(run.stderr);
  return run.status === 0;
}

function lintPlanted(): readonly string[] {
  const run = runOxlint([FIXTURE, '-f', 'json']);
  const findings = (JSON.parse(run.stdout) as { diagnostics: Finding[] }).diagnostics;
  const isFound = (file: string, rule: string): boolean =>
    findings.some(({ filename, code }) => filename.endsWith(`/src/${file}`) && code.includes(`(${rule})`));
  const quiet = PLANTED.filter(([file, rule]) => !isFound(file, rule)).map(
    ([file, rule]) => `${FIXTURE}/src/${file}: the planted violation of ${rule} was not found: the rule has gone quiet`,
  );
  const accused = findings
    .filter(({ filename }) => INNOCENT.some((file) => filename.endsWith(`/src/${file}`)))
    .map(({ filename, code }) => `${filename}: breaks no rule and is accused of ${code}`);
  return [...quiet, ...accused];
}

function checkHouseRules(): readonly string[] {
  const files = readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' }).filter((file) =>
    file.endsWith('.ts'),
  );
  return files.flatMap((file) =>
    readFileSync(join(ROOT, 'src', file), 'utf8')
      .split('\n')
      .flatMap((line, index) =>
        HOUSE_RULES.filter(({ pattern }) => pattern.test(line)).map(
          ({ message }) => `src/${file}:${index + 1}: ${message}`,
        ),
      ),
  );
}

function main(): void {
  if (process.argv.includes('--help')) {
    console.log(
      'Usage: npm run lint [-- OXLINT_OPTION...]\n\nLints the tree and proves that the planted violations are found.',
    );
    return;
  }
  const isTreeClean = lintTree(process.argv.slice(2));
  const complaints = [...lintPlanted(), ...checkHouseRules()];
  for (const complaint of complaints) console.error(complaint);
  if (complaints.length === 0) console.log(`${PLANTED.length} planted violations were all found.`);
  if (!isTreeClean || complaints.length > 0) process.exitCode = 1;
}

main();
