import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { z } from 'zod';

const ROOT = join(import.meta.dirname, '../../..');
/** Compares sources with each other and looks at the code of the artefact: it would find any change, and prove nothing. */
const EXCLUDED = 'contract.test.ts';
const DEADLINE_MS = 300_000;

const reportSchema = z.object({
  numTotalTests: z.int(),
  testResults: z.array(
    z.object({
      message: z.string(),
      assertionResults: z.array(z.object({ status: z.string(), fullName: z.string() })),
    }),
  ),
});

export type TestRun =
  | { readonly kind: 'green'; readonly tests: number }
  | { readonly kind: 'red'; readonly test: string };

/** Files of test/programs/<program> that may prove something, the one that a check is likely tested in first. */
export function listTestFiles(program: string, check: string): readonly string[] {
  const folder = join('test/programs', program);
  const likely = (check.split('.')[0] ?? '').replaceAll('_', '-');
  return readdirSync(join(ROOT, folder))
    .filter((name) => name.endsWith('.test.ts') && name !== EXCLUDED)
    .sort((a, b) => Number(b.startsWith(likely)) - Number(a.startsWith(likely)))
    .map((name) => join(folder, name));
}

/** Runs the files against the programs in `artifacts` until a test fails. */
export function runTests(files: readonly string[], artifacts: string): TestRun {
  const report = join(artifacts, 'report.json');
  const { status, stderr, stdout } = spawnSync(
    process.execPath,
    [
      join(ROOT, 'node_modules/vitest/vitest.mjs'),
      'run',
      '--project=programs',
      '--bail=1',
      '--reporter=json',
      `--outputFile=${report}`,
      ...files,
    ],
    { cwd: ROOT, env: { ...process.env, FOGPROOF_PROGRAMS_DIR: artifacts }, encoding: 'utf8', timeout: DEADLINE_MS },
  );
  const { numTotalTests, testResults } = reportSchema.parse(JSON.parse(readFileSync(report, 'utf8')));
  if (status === 0 && numTotalTests > 0) return { kind: 'green', tests: numTotalTests };
  const failed = testResults
    .flatMap(({ assertionResults }) => assertionResults)
    .find((test) => test.status === 'failed');
  if (failed !== undefined) return { kind: 'red', test: failed.fullName };
  throw new Error(
    `vitest ended with ${status} and no failed test in ${files.map((file) => basename(file)).join(', ')}:\n${stdout}${stderr}`,
  );
}
