import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { UsageError } from '../../src/lib/errors.ts';
import type { Suite } from './suites.ts';

const caseSchema = z.object({ fullTitle: z.string(), err: z.object({ message: z.string().optional() }).optional() });
const reportSchema = z.object({
  stats: z.object({ tests: z.int(), passes: z.int(), failures: z.int(), pending: z.int(), duration: z.int() }),
  passes: z.array(caseSchema),
  failures: z.array(caseSchema),
});

/** What mocha's own JSON reporter says. */
export type MochaReport = z.output<typeof reportSchema>;

/** Runs the suite in its checkout with the mocha that is installed there. */
export async function runMocha(suite: Suite, checkout: string): Promise<MochaReport> {
  const mocha = join(checkout, 'node_modules/mocha/bin/mocha.js');
  if (!existsSync(mocha) || !existsSync(join(checkout, 'node_modules/tsx'))) {
    throw new UsageError(
      `${checkout} has no mocha or no tsx`,
      'Install what its package.json names, and tsx, in that checkout first.',
    );
  }
  const folder = await mkdtemp(join(tmpdir(), 'fogproof-third-party-'));
  try {
    const output = join(folder, 'report.json');
    const reporter = ['--reporter', 'json', '--reporter-option', `output=${output}`];
    const limits = ['--no-config', '--extension', 'ts', '--exit', '--timeout', String(suite.timeoutMs)];
    const child = spawn(process.execPath, [mocha, ...limits, ...reporter, ...suite.specs], {
      cwd: checkout,
      env: { ...process.env, ...suite.environment, NODE_OPTIONS: '--import tsx' },
      stdio: ['ignore', 'ignore', 'ignore'],
    });
    await once(child, 'exit');
    return reportSchema.parse(JSON.parse(await readFile(output, 'utf8')));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
