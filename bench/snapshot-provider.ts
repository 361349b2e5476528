/** The other process of bench/snapshots.ts: makes snapshots of a state as its parent says, and hands them out. */
import { once } from 'node:events';
import { SnapshotMaker } from '../src/scheduler/snapshots/snapshot-maker.ts';
import { startSnapshotHost } from '../test/support/snapshot-host.ts';
import { makeSnapshot } from '../test/support/snapshot-states.ts';
import { leaseOf, TEST_JOB } from '../test/support/snapshots.ts';
import { createBenchState, type ProviderAnswer, type ProviderOrder } from './snapshot-state.ts';

const host = await startSnapshotHost();
process.send?.({ kind: 'ready', address: host.node.address(), peer: host.node.identity.peer } satisfies ProviderAnswer);
process.on('message', (order: ProviderOrder) => {
  make(order).then(
    (answer) => process.send?.(answer),
    (error: unknown) => {
      console.error(error);
      process.exitCode = 1;
      process.disconnect();
    },
  );
});

async function make({ step, pages, changed, key, reader }: ProviderOrder): Promise<ProviderAnswer> {
  const sealKey = key === null ? null : new Uint8Array(key);
  const maker = new SnapshotMaker({ store: host.store }, { job: TEST_JOB, lease: leaseOf(1), key: sealKey });
  const state = createBenchState(step, pages, changed);
  const startedMs = performance.now();
  const { entry } = await makeSnapshot(maker, state);
  const madeMs = performance.now() - startedMs;
  host.grants.grant(reader, [entry.reference.blob]);
  const { stateRoot } = state.checkpoint;
  return { kind: 'made', reference: entry.reference, stateRoot: [...stateRoot], madeMs };
}

await once(process, 'disconnect');
await host[Symbol.asyncDispose]();
