import { describe, expect, it } from 'vitest';
import { encodeObject } from '../../../../src/domain/object-type.ts';
import type { SnapshotState } from '../../../../src/domain/snapshot.ts';
import { SNAPSHOT } from '../../../../src/domain/snapshot.ts';
import { encodeHostState, parseHostState } from '../../../../src/proofs/host-state.ts';
import { encodeSnapshotOf } from '../../../../src/scheduler/snapshots/encode-snapshot.ts';
import { openSnapshot } from '../../../../src/scheduler/snapshots/open-snapshot.ts';
import { describeState, memoryStateOf, type ProgramState } from '../../../support/snapshot-states.ts';
import { itemOf, TEST_JOB } from '../../../support/snapshots.ts';

const PAGE = itemOf(1, 65_536);
const HONEST = memoryStateOf(20, [PAGE]);

function withHost(state: SnapshotState, changes: Partial<ReturnType<typeof parseHostState>>): ProgramState {
  if (state.kind !== 'memory') throw new Error('no memory');
  const host = encodeHostState({ ...parseHostState(state.host), ...changes });
  return describeState(20, { ...state, host }, [PAGE]);
}

/** Opens a snapshot that a provider signed as of step 20 with 200 units of fuel. */
function open({ checkpoint }: ProgramState) {
  const { step, stateRoot, state, pieces } = checkpoint;
  const snapshot = encodeSnapshotOf({ job: TEST_JOB, step, stateRoot, state, items: pieces, key: null });
  const expected = { job: TEST_JOB, step: 20, stateRoot, fuel: 200, sealed: false };
  return openSnapshot(encodeObject(SNAPSHOT, snapshot), { key: null, expected });
}

describe('a state that has the signed root', () => {
  it('is taken where it says what was signed beside the root', () => {
    expect(open(HONEST).body?.step).toBe(20);
  });

  it('is refused where it has used other fuel: its successor would be blamed for that', () => {
    expect(() => open(withHost(HONEST.checkpoint.state, { fuel: 199 }))).toThrow(/199 units of fuel, and 200/);
  });

  it('is refused where it is of another step: no program could go on from it', () => {
    expect(() => open(withHost(HONEST.checkpoint.state, { steps: 10 }))).toThrow(/of step 10, not 20/);
  });
});
