import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { SystemClock } from '../../../src/lib/clock.ts';
import { CommandExecutor } from '../../../src/sandbox/executors/command/command-executor.ts';
import { DEFAULT_COMMAND_OPTIONS } from '../../../src/sandbox/executors/command/options.ts';
import { probeCommand } from '../../../src/sandbox/executors/command/probe-command.ts';
import type { ExecutionTask, InputFile } from '../../../src/sandbox/interface.ts';
import { NoopLogger } from '../../../src/telemetry/noop-logger.ts';
import { NoopMetricsRegistry } from '../../../src/telemetry/noop-metrics.ts';
import { KeepingSink } from '../../support/checkpoint-sink.ts';
import { describeIf, type Need } from '../../support/needs.ts';
import { ALICE } from '../../support/sandbox.ts';

const ROOT = join(import.meta.dirname, '../../..');
const SHELL_HELPER = join(ROOT, 'sdk/shell/fogproof-train.sh');
const MEBIBYTE = 2 ** 20;
const clock = new SystemClock();
const probe = await probeCommand(clock);
const isCommand = probe.kind === 'works';
const hasPython = spawnSync('python3', ['-c', 'import sys; sys.exit(sys.version_info < (3, 9))']).status === 0;
const PYTHON: Need = { isMet: hasPython, kind: 'host', reason: 'Python 3.9 or newer (apt install python3)' };
const SANDBOX: Need = { isMet: isCommand, kind: 'host', reason: 'bubblewrap and user namespaces' };
const SYSTEM_PYTHON: Need = {
  isMet: isCommand && existsSync('/usr/bin/python3'),
  kind: 'host',
  reason: 'bubblewrap, user namespaces and /usr/bin/python3 (apt install bubblewrap python3)',
};

const input = (path: string, file: string): InputFile => ({ path, bytes: readFileSync(join(ROOT, file)) });

function createTask(words: readonly [string, ...string[]], parts: Partial<ExecutionTask>): ExecutionTask {
  const [program, ...rest] = words;
  return {
    requester: ALICE,
    isolation: 'bubblewrap',
    workload: {
      kind: 'command',
      root: { kind: 'host' },
      program,
      arguments: rest,
      environment: {},
      limits: { cpus: 1000, processes: 16, scratchBytes: MEBIBYTE },
    },
    module: null,
    inputs: [],
    resources: {
      memoryBytes: 256 * MEBIBYTE,
      fuel: null,
      wallTimeMs: 30_000,
      outputBytes: MEBIBYTE,
      logBytes: MEBIBYTE,
    },
    checkpoints: { kind: 'rounds', every: 2 },
    resume: null,
    ...parts,
  };
}

function open(): CommandExecutor {
  return new CommandExecutor(
    { clock, logger: new NoopLogger(), metrics: new NoopMetricsRegistry() },
    {
      ...DEFAULT_COMMAND_OPTIONS,
      maxCpus: 2000,
      hostRoot: true,
      rootsFolder: '/nonexistent',
      offer: probe.kind === 'works' ? probe.offer : null,
    },
  );
}

/** The last states of a run that was halted in the middle and gone on with, and of one that was not: equal outputs. */
async function runBoth(words: readonly [string, ...string[]], inputs: readonly InputFile[]) {
  await using executor = open();
  const plain = new KeepingSink();
  const whole = await executor.execute(createTask(words, { inputs }), plain, {});
  const first = new KeepingSink();
  first.haltAt = 2;
  const halted = await executor.execute(createTask(words, { inputs }), first, {});
  expect(halted.outcome).toMatchObject({ kind: 'attempt-failed', code: 'PAUSED' });
  const second = new KeepingSink(first.store);
  const resumed = await executor.execute(createTask(words, { inputs, resume: first.resumeLast() }), second, {});
  expect(whole.outcome).toEqual({ kind: 'completed' });
  expect(resumed.outcome).toEqual({ kind: 'completed' });
  expect(resumed.outputs).toEqual(whole.outputs);
  expect(whole.outputs).toHaveLength(1);
  return { plain, second, whole };
}

describeIf(PYTHON, 'the helper for Python', () => {
  it('passes its own tests', () => {
    const { status, stderr } = spawnSync(
      'python3',
      ['-B', '-m', 'unittest', 'discover', '-s', join(ROOT, 'python/tests')],
      {
        encoding: 'utf8',
      },
    );
    expect(stderr).toMatch(/Ran \d+ tests/);
    expect(status, stderr).toBe(0);
  });
});

describeIf(SYSTEM_PYTHON, 'examples/training/python in a sandbox', () => {
  it('ends with the same bytes when it was halted and went on, and measures each round', async () => {
    const { plain, second } = await runBoth(
      ['/usr/bin/python3', '-B', '/code/spiral.py', '10'],
      [
        input('/code/spiral.py', 'examples/training/python/spiral.py'),
        input('/code/fogproof_train/__init__.py', 'python/src/fogproof_train/__init__.py'),
      ],
    );
    expect(plain.events.filter((event) => event.includes('loss='))).toHaveLength(10);
    expect(plain.checkpoints.map(({ step }) => step)).toEqual([0, 2, 4, 6, 8, 10, 10]);
    expect(second.checkpoints.map(({ step }) => step)).toEqual([4, 6, 8, 10, 10]);
  });
});

const SHELL_PROGRAM = `. "$0"
fogproof_begin || exit 1
sum=1
[ -f "$FOGPROOF_FOLDER/sum" ] && read -r sum < "$FOGPROOF_FOLDER/sum"
round=$FOGPROOF_ROUND
while [ "$round" -lt 6 ]; do
  round=$((round + 1)); sum=$(( (sum * 48271 + round) % 2147483647 ))
  fogproof_metric "$round" sum "$sum" half nan
  echo "$sum" > "$FOGPROOF_FOLDER/sum"
  fogproof_should_pause && echo 'to be paused'
  fogproof_checkpoint "$round" || exit 1
done
if [ -d /output ] && [ -d /fogproof ]; then echo "$sum" > /output/sum; fi
`;

describeIf(SANDBOX, 'the helper for shells', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'fogproof-shell-'));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it('works in a sandbox', async () => {
    const { plain } = await runBoth(
      ['/bin/sh', '-c', SHELL_PROGRAM, '/helper.sh'],
      [input('/helper.sh', 'sdk/shell/fogproof-train.sh')],
    );
    expect(plain.events.filter((event) => event.includes('half=NaN'))).toHaveLength(6);
    expect(plain.events.join()).not.toContain('to be paused');
  });

  it('keeps a folder outside of one, and goes on from it', () => {
    const run = (): number | null =>
      spawnSync('/bin/sh', ['-c', SHELL_PROGRAM, SHELL_HELPER], { cwd: folder, env: { PATH: process.env['PATH'] } })
        .status;
    expect(run()).toBe(0);
    expect(readdirSync(join(folder, 'checkpoint')).toSorted()).toEqual(['ROUND', 'sum']);
    const lines = readFileSync(join(folder, 'metrics.jsonl'), 'utf8').trim().split('\n');
    expect(lines.map((line) => (JSON.parse(line) as { step: number }).step)).toEqual([1, 2, 3, 4, 5, 6]);
    expect(run()).toBe(0);
    expect(readFileSync(join(folder, 'metrics.jsonl'), 'utf8').trim().split('\n')).toHaveLength(6);
  });
});
