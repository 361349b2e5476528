import { describe, expect, it } from 'vitest';
import { SandboxError } from '../../../src/sandbox/errors.ts';
import {
  FRESH_START,
  formatMetricValue,
  type QuickAnswer,
  type SlowAnswer,
  TaskAnswers,
} from '../../../src/sandbox/executors/wasm/task-answers.ts';
import type { ExecutionSink } from '../../../src/sandbox/interface.ts';
import { GO_ON } from '../../support/sandbox.ts';

const SINK: ExecutionSink = {
  log: () => {},
  metric: () => {},
  progress: () => {},
  checkpoint: () => Promise.resolve(GO_ON),
};
const LIMITS = { outputBytes: 10, logBytes: 10, start: FRESH_START };
const take = (list: readonly QuickAnswer[]): TaskAnswers => {
  const answers = new TaskAnswers(SINK, LIMITS, null);
  for (const answer of list) answers.take(answer);
  return answers;
};
const output = (path: string, sizeBytes: number): QuickAnswer => ({ kind: 'output', path, sizeBytes });
const chunk = (length: number): QuickAnswer => ({ kind: 'chunk', bytes: new Uint8Array(length).fill(1) });
const RESULT: Extract<QuickAnswer, { kind: 'result' }> = {
  kind: 'result',
  outcome: { kind: 'completed' },
  fuel: 1,
  steps: 1,
  memoryBytes: 1,
  cpuMicros: 1,
  metricsHash: new Uint8Array(32),
  moduleDigest: null,
};

describe('TaskAnswers', () => {
  it('puts outputs together from their chunks', () => {
    const { outputs } = take([output('/a', 3), chunk(1), chunk(2), output('/b', 0), RESULT]);
    expect(outputs).toEqual([
      { path: '/a', bytes: new Uint8Array(3).fill(1) },
      { path: '/b', bytes: new Uint8Array(0) },
    ]);
  });

  it.each<[string, QuickAnswer[]]>([
    ['more output than the job allows', [output('/a', 11)]],
    ['more output than the job allows', [output('/a', 6), chunk(6), output('/b', 5)]],
    ['an output is too long', [output('/a', 1), chunk(2)]],
    ['an output is too long', [chunk(1)]],
    ['an output is incomplete', [output('/a', 2), chunk(1), output('/b', 1)]],
    ['an output is incomplete', [output('/a', 2), RESULT]],
    ['outputs are out of order', [output('/b', 0), output('/a', 0)]],
    ['outputs are out of order', [output('/a', 0), output('/a', 0)]],
    ['the path of an output is malformed', [output('/a/../b', 0)]],
    ['the path of an output is malformed', [output('relative', 0)]],
    ['more logs than the job allows', [{ kind: 'log', stream: 'log', text: new Uint8Array(11) }]],
    ['more logs than the job allows', [{ kind: 'metric', step: 0, name: 'x', value: 1 }]],
    ['ready in the middle of a task', [{ kind: 'ready' }]],
    [
      'a program that goes back',
      [
        { kind: 'progress', fuel: 2, step: 2, cpuMicros: 0 },
        { kind: 'progress', fuel: 3, step: 1, cpuMicros: 0 },
      ],
    ],
    [
      'a program that goes back',
      [
        { kind: 'progress', fuel: 2, step: 2, cpuMicros: 0 },
        { kind: 'progress', fuel: 1, step: 2, cpuMicros: 0 },
      ],
    ],
    ['a pause that nobody ordered', [{ ...RESULT, outcome: { kind: 'attempt-failed', code: 'PAUSED', detail: '' } }]],
  ])('does not believe a child: %s', (reason, list) => {
    expect(() => take(list)).toThrow(SandboxError);
    expect(() => take(list)).toThrow(reason);
  });

  it('counts logs and metrics from where the task began', () => {
    const ordinals: number[] = [];
    const sink: ExecutionSink = {
      ...SINK,
      log: (_stream, _text, ordinal) => ordinals.push(ordinal),
      metric: (_name, _value, _step, ordinal) => ordinals.push(ordinal),
    };
    const limits = { outputBytes: 0, logBytes: 1000, start: { step: 3, fuel: 9, ordinal: 7, logBytes: 900 } };
    const answers = new TaskAnswers(sink, limits, null);
    answers.take({ kind: 'log', stream: 'log', text: new Uint8Array(1) });
    answers.take({ kind: 'metric', step: 3, name: 'x', value: 1 });
    expect(ordinals).toEqual([8, 9]);
    expect([answers.step, answers.fuel]).toEqual([3, 9]);
    expect(() => answers.take({ kind: 'log', stream: 'log', text: new Uint8Array(50) })).toThrow('more logs');
  });

  it.each<SlowAnswer>([
    { kind: 'piece', place: 0, bytes: new Uint8Array(1) },
    {
      ...{ kind: 'checkpoint', place: 'start', step: 0, fuel: 0, ordinal: 0 },
      ...{ stateRoot: new Uint8Array(32), metricsHash: new Uint8Array(32), state: { kind: 'files', files: [] } },
    },
  ])('takes no $kind of a task without a schedule', async (answer) => {
    await expect(new TaskAnswers(SINK, LIMITS, null).takeSlow(answer)).rejects.toThrow('without a schedule');
  });

  it('writes metric values as the shortest decimal of the same float', () => {
    expect([0.1, -0, 1e21, Number.NaN, -Infinity].map(formatMetricValue)).toEqual([
      '0.1',
      '-0',
      '1e+21',
      'NaN',
      '-Infinity',
    ]);
  });
});
