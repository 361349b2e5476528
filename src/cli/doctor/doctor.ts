import { z } from 'zod';
import type { HostCheck } from '../../sandbox/interface.ts';
import { EXIT_CODES } from '../exit-codes.ts';
import { plural } from '../format.ts';
import { findLocations } from '../framework/locations.ts';
import { type CliContext, defineCommand } from '../interface.ts';
import { checkTee } from './check-tee.ts';
import { checkConfig, checkDaemon, checkHome, checkMachine, findRuntimeFolder } from './checks.ts';
import { runHostChecks } from './run-host-checks.ts';

const MARKS: Readonly<Record<HostCheck['status'], string>> = { ok: '✓', degraded: '!', missing: '✗' };

export const doctor = defineCommand({
  name: 'doctor',
  summary: 'check what this machine can do and what is missing',
  details:
    'Tries each thing rather than guessing from versions, and says what to install or change. Needs no daemon. Exit code 1 if something that is needed is missing.',
  arguments: [],
  options: z.strictObject({}),
  examples: [{ line: 'fogproof doctor', does: 'Run it first, and whenever the box gets no work.' }],
  run: async (_, context) => {
    const checks = await runChecks(context);
    context.output.result({ checks }, () => renderChecks(checks));
    return checks.some(({ status }) => status === 'missing') ? EXIT_CODES.failed : EXIT_CODES.ok;
  },
});

async function runChecks(context: CliContext): Promise<readonly HostCheck[]> {
  const { home } = findLocations(context);
  const { checkSandbox } = await import('../../sandbox/doctor.ts');
  const sandbox = await checkSandbox({ onnxRuntimeFolder: await findRuntimeFolder(context) });
  const daemon = await checkDaemon(context);
  const [machine, ...others] = await Promise.all([
    runHostChecks(context, daemon.listen),
    checkHome(home),
    checkConfig(context),
    checkTee(context),
  ]);
  return [checkMachine(), ...others, ...machine, ...daemon.checks, ...sandbox];
}

export function renderChecks(checks: readonly HostCheck[]): string[] {
  const width = Math.max(...checks.map(({ name }) => name.length));
  const lines = checks.flatMap(({ name, status, detail, remedy }) => [
    `${MARKS[status]} ${name.padEnd(width)}  ${detail}`,
    ...(remedy === null ? [] : [`  ${' '.repeat(width)}  → ${remedy}`]),
  ]);
  return [...lines, '', summarize(checks)];
}

function summarize(checks: readonly HostCheck[]): string {
  const missing = checks.filter(({ status }) => status === 'missing').length;
  const degraded = checks.filter(({ status }) => status === 'degraded').length;
  const parts = [
    ...(missing === 0 ? [] : [`${plural(missing, 'thing')} that is needed ${missing === 1 ? 'is' : 'are'} missing`]),
    ...(degraded === 0 ? [] : [`${plural(degraded, 'thing')} could be better`]),
  ];
  return parts.length === 0 ? 'all is well' : parts.join(', ');
}
