import { resolve } from 'node:path';
import { z } from 'zod';
import { BundleError, isTampered } from '../../../bundle/errors.ts';
import type { OpenedAttempt } from '../../../bundle/open-evidence.ts';
import { ISOLATION_LEVELS, type IsolationLevel } from '../../../domain/capability.ts';
import type { Job } from '../../../domain/job.ts';
import { UsageError } from '../../../lib/errors.ts';
import { INSTRUMENTER } from '../../../wasm/constants.ts';
import { EXIT_CODES, type ExitCode } from '../../exit-codes.ts';
import { formatCount } from '../../format.ts';
import { type CliContext, defineCommand } from '../../interface.ts';
import { chooseAttempts } from './choose-attempts.ts';
import type { ReplayRange, ReplayReport } from './interface.ts';
import { LazySandbox } from './lazy-sandbox.ts';
import { renderReport } from './render-replay.ts';
import { replayAttempt } from './replay-attempt.ts';
import { ReplayBundle } from './replay-bundle.ts';

const WORST_FIRST: readonly ReplayReport['verdict'][] = ['invalid', 'different', 'unchecked', 'equal'];

const VERDICT_EXIT_CODES: Readonly<Record<ReplayReport['verdict'], ExitCode>> = {
  invalid: EXIT_CODES.failed,
  different: EXIT_CODES.failed,
  unchecked: EXIT_CODES.unchecked,
  equal: EXIT_CODES.ok,
};

/** Checkpoints are told of on a terminal at most this often, ms. */
const PROGRESS_INTERVAL_MS = 100;

const stepOption = (description: string) =>
  z.int().min(0).exactOptional().describe(description).meta({ placeholder: 'STEP' });

export const jobReplay = defineCommand({
  name: 'job replay',
  summary: 'run a part of a job again and compare its states',
  details:
    'Needs no daemon. Takes module, inputs and snapshots from a bundle file (`fogproof bundle export --content everything --snapshots all`), runs the program again in the sandbox of this machine, from the newest snapshot at or before --from to the first checkpoint at or after --to, and compares the state root at every checkpoint on the way with the one that the provider signed. Where they part, the interval is named. It shows that this machine, with this instrumenter, got these states; it does not show that the program is right. Exit code 0 if all are equal, 1 if something differs, a snapshot is false or the evidence does not hold, 3 if it could not be checked: what is missing is named.',
  arguments: [{ name: 'file', description: 'bundle file', isRequired: true }],
  options: z.strictObject({
    from: stepOption('first step of the interval; by default the beginning'),
    to: stepOption('last step of the interval; by default the end'),
    replica: z.int().min(0).exactOptional().describe('which replica, counted from 0 as in `job show` (default: 0)'),
    attempt: z
      .string()
      .exactOptional()
      .describe('which attempt, by its lease or the first characters of it')
      .meta({ placeholder: 'LEASE' }),
    all: z.boolean().default(false).describe('every replica in the file, one after the other'),
    isolation: z
      .enum(ISOLATION_LEVELS)
      .exactOptional()
      .describe('process or bubblewrap; by default the strongest that works here'),
  }),
  examples: [
    { line: 'fogproof job replay job.bundle', does: 'The whole run of the first replica.' },
    {
      line: 'fogproof job replay job.bundle --from 4000 --to 5000',
      does: 'One part, from the newest snapshot before it.',
    },
    { line: 'fogproof job replay job.bundle --all --json', does: 'Every replica, for programs.' },
  ],
  run: async ({ arguments: [file = ''], options }, context) => {
    const { output, signal, workingDirectory } = context;
    const range = readRange(options);
    const path = resolve(workingDirectory, file);
    try {
      await using bundle = await ReplayBundle.open(path, signal);
      const { job } = bundle.evidence;
      const attempts = chooseAttempts(bundle.evidence.attempts, {
        replica: options.replica,
        attempt: options.attempt,
        all: options.all,
      });
      if (job.kind === 'refused') throw new UsageError('the job in this file is refused', `${job.reason}.`);
      const settings = { range, isolation: options.isolation, job: job.signed.value };
      const reports = await replayAll({ bundle, attempts }, settings, context);
      const verdict =
        WORST_FIRST.find((candidate) => reports.some((report) => report.verdict === candidate)) ?? 'unchecked';
      output.result({ file: path, job: job.signed.id, verdict, attempts: reports }, () => [
        `job       ${job.signed.value.name} (${job.signed.id})`,
        ...reports.flatMap((report) => renderReport(report, output)),
        ...describeHints(reports, job.signed.id),
      ]);
      return VERDICT_EXIT_CODES[verdict];
    } catch (error) {
      if (!(error instanceof BundleError) || !isTampered(error)) throw error;
      return reportTampered(path, error, context);
    }
  },
});

function readRange({ from = 0, to = Number.POSITIVE_INFINITY }: { from?: number; to?: number }): ReplayRange {
  if (from > to) throw new UsageError(`--from ${from} is after --to ${to}`, 'Give an interval that is not empty.');
  return { from, to };
}

interface ReplaySettings {
  readonly range: ReplayRange;
  readonly isolation: IsolationLevel | undefined;
  readonly job: Job;
}

async function replayAll(
  { bundle, attempts }: { readonly bundle: ReplayBundle; readonly attempts: readonly OpenedAttempt[] },
  { range, isolation, job }: ReplaySettings,
  { output, signal }: CliContext,
): Promise<readonly ReplayReport[]> {
  const onWeaker = (level: IsolationLevel): void =>
    output.note(
      `this machine has no isolation level bubblewrap (fogproof doctor says why): the program runs at level ${level}, which is no boundary against an attack on the engine`,
    );
  const createExecutor = async () => (await import('./create-executor.ts')).createReplayExecutor(job);
  await using sandbox = new LazySandbox({ createExecutor, onWeaker }, { chosen: isolation, asked: job.isolation });
  const reports: ReplayReport[] = [];
  for (const attempt of attempts) {
    let toldAtMs = 0;
    const onProgress = ({ step, fuel }: { readonly step: number; readonly fuel: number }): void => {
      if (Date.now() - toldAtMs < PROGRESS_INTERVAL_MS) return;
      toldAtMs = Date.now();
      output.progress(`${attempt.label}: step ${step}, ${formatCount(fuel)} units of fuel`);
    };
    const onDifference = ({ step }: { readonly step: number }): void =>
      output.note(`${attempt.label}: the state after step ${step} is DIFFERENT`);
    const openExecutor = () => sandbox.open();
    const modules = { bundle, instrumenter: INSTRUMENTER, openExecutor, onProgress, onDifference };
    reports.push(await replayAttempt(modules, attempt, { range, signal }));
    output.progress('');
  }
  return reports;
}

function describeHints(reports: readonly ReplayReport[], job: string): readonly string[] {
  const isIncomplete = reports.some(({ missing }) => missing.some((part) => part.endsWith('in the file')));
  if (!isIncomplete) return [];
  return [
    '',
    `export it with all that a replay needs: fogproof bundle export ${job} --content everything --snapshots all`,
  ];
}

function reportTampered(file: string, { info, message, hint }: BundleError, { output }: CliContext): ExitCode {
  output.result({ file, verdict: 'invalid', error: { ...info, message, hint } }, () => [
    `file     ${file}`,
    'verdict  INVALID',
    `         ${message}`,
    `         ${hint}`,
  ]);
  return EXIT_CODES.failed;
}
