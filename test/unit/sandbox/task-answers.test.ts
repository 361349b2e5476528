import { describe, expect, it } from 'vitest';
import { SandboxError } from '../../../src/sandbox/errors.ts';
import { formatMetricValue, TaskAnswers } from '../../../src/sandbox/executors/wasm/task-answers.ts';
import type { Answer } from '../../../src/sandbox/protocol/parse-answer.ts';

const SINK = { log: () => {}, metric: () => {}, progress: () => {} };
const take = (list: readonly Answer[], limits = { outputBytes: 10, logBytes: 10 }): TaskAnswers => {
  const answers = new TaskAnswers(SINK, limits);
  for (const answer of list) answers.take(answer);
  return answers;
};
const output = (path: string, sizeBytes: number): Answer => ({ kind: 'output', path, sizeBytes });
const chunk = (length: number): Answer => ({ kind: 'chunk', bytes: new Uint8Array(length).fill(1) });
const RESULT: Answer = {
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

  it.each<[string, Answer[]]>([
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
  ])('does not believe a child: %s', (reason, list) => {
    expect(() => take(list)).toThrow(SandboxError);
    expect(() => take(list)).toThrow(reason);
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
