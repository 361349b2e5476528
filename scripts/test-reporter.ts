import { writeFileSync } from 'node:fs';
import type { Reporter, TestCase, TestModule } from 'vitest/node';

/** As test/support/needs.ts writes them. */
const KINDS = ['hardware', 'permission', 'toolchain', 'host'] as const;
type Kind = (typeof KINDS)[number];

export interface SkippedTest {
  readonly name: string;
  readonly kind: Kind | 'unexplained';
  readonly reason: string;
}

export interface TestReport {
  readonly passed: number;
  /** Test cases that failed; a file that cannot be loaded, or an error outside of any test, counts as one. */
  readonly failed: readonly string[];
  readonly skipped: readonly SkippedTest[];
}

/** The file that the report goes to. */
export const REPORT_FILE_VARIABLE = 'FOGPROOF_TEST_REPORT';

const NEED = / \[needs (\w+): ([^\]]+)\]/;

/** Vitest reporter beside the default one: what scripts/test.ts needs for its summary. */
class SummaryReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly { readonly message?: string }[]): void {
    const file = process.env[REPORT_FILE_VARIABLE];
    if (file !== undefined) writeFileSync(file, JSON.stringify(summarise(modules, unhandled)));
  }
}

function summarise(modules: readonly TestModule[], unhandled: readonly { readonly message?: string }[]): TestReport {
  const tests = modules.flatMap((module) => [...module.children.allTests()]);
  const stateOf = (state: string): readonly TestCase[] => tests.filter((test) => test.result().state === state);
  const broken = modules.filter((module) => module.errors().length > 0).map((module) => module.moduleId);
  const unfinished = stateOf('pending').map((test) => `${describeTest(test)} (never finished)`);
  return {
    passed: stateOf('passed').length,
    failed: [
      ...stateOf('failed').map(describeTest),
      ...unfinished,
      ...broken,
      ...unhandled.map(({ message }) => `error outside of any test: ${message ?? 'unknown'}`),
    ],
    skipped: stateOf('skipped').map(describeSkipped),
  };
}

function describeTest(test: TestCase): string {
  return `${test.module.relativeModuleId} > ${test.fullName}`;
}

function describeSkipped(test: TestCase): SkippedTest {
  const name = describeTest(test);
  const [, named, reason] = NEED.exec(name) ?? [];
  const kind = KINDS.find((known) => known === named);
  if (kind !== undefined && reason !== undefined) {
    return { name: name.replace(NEED, ''), kind, reason };
  }
  const result = test.result();
  const note = result.state === 'skipped' ? result.note : undefined;
  return { name, kind: 'unexplained', reason: note ?? 'no reason given' };
}

// Vitest loads a reporter by path as the default export.
// oxlint-disable-next-line import/no-default-export
export default SummaryReporter;
