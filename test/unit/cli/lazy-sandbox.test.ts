import { expect, it } from 'vitest';
import { LazySandbox } from '../../../src/cli/job/replay/lazy-sandbox.ts';
import type { IsolationLevel } from '../../../src/domain/capability.ts';
import { ScriptedExecutor } from '../../support/provider-executor.ts';

it.each([
  { works: ['process', 'bubblewrap'], chosen: undefined, level: 'bubblewrap', told: [] },
  { works: ['process'], chosen: undefined, level: 'process', told: ['process'] },
  { works: ['process', 'bubblewrap'], chosen: 'process', level: 'process', told: [] },
] as const)(
  'a replay runs at $level where $works work and $chosen was chosen',
  async ({ works, chosen, level, told }) => {
    const executor = new ScriptedExecutor(works);
    const levels: IsolationLevel[] = [];
    await using sandbox = new LazySandbox(
      { createExecutor: async () => executor, onWeaker: (weaker) => levels.push(weaker) },
      { chosen, asked: 'process' },
    );
    expect(await sandbox.open()).toEqual({ executor, isolation: level });
    expect(levels).toEqual(told);
  },
);
