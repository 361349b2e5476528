/**
 * A state of 64 MiB as snapshots: written to disk, moved between two processes over libp2p, and moved again after 1 % of its
 * pages changed. Beside a plain file of the same size on the same disk, and blob chunks over the same connection.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { readResumeState } from '../src/scheduler/snapshots/read-pieces.ts';
import type { FetchedSnapshot } from '../src/scheduler/snapshots/snapshot-fetcher.ts';
import { type SnapshotHost, startSnapshotHost } from '../test/support/snapshot-host.ts';
import { leaseOf, TEST_JOB } from '../test/support/snapshots.ts';
import type { BenchRow } from './rows.ts';
import { createBenchState, type ProviderAnswer, type ProviderOrder } from './snapshot-state.ts';

const MIB = 2 ** 20;
const PAGE_BYTES = 65_536;
const STATE_BYTES = 64 * MIB;
const PAGES = STATE_BYTES / PAGE_BYTES;
const CHANGED = Math.round(PAGES / 100);
const KEY = Array.from({ length: 32 }, (_, index) => index);

interface Moved extends FetchedSnapshot {
  readonly madeMs: number;
  readonly readMs: number;
}

export async function benchSnapshots(): Promise<readonly BenchRow[]> {
  await using holder = await startSnapshotHost();
  const provider = fork(join(import.meta.dirname, 'snapshot-provider.ts'), { stdio: 'inherit' });
  try {
    const ready = await nextAnswer(provider);
    if (ready.kind !== 'ready') throw new TypeError('the provider did not start');
    await holder.node.network.connect(ready.address);
    const move = (step: number, changed: number, key: readonly number[] | null): Promise<Moved> =>
      moveOne(
        { provider, holder, peer: ready.peer },
        { step, pages: PAGES, changed, key, reader: holder.node.identity.peer },
      );
    const whole = await move(1, 0, null);
    const next = await move(2, CHANGED, null);
    const sealed = await move(3, PAGES, KEY);
    const plainFileMs = await measurePlainFile(holder.folder);
    return [...describeMoves(whole, next, sealed, plainFileMs)];
  } finally {
    provider.disconnect();
    await once(provider, 'exit');
  }
}

function* describeMoves(whole: Moved, next: Moved, sealed: Moved, plainFileMs: number): Generator<BenchRow> {
  const rate = (ms: number): number => STATE_BYTES / MIB / (ms / 1000);
  const baseline = { name: 'write and fsync of a file', value: rate(plainFileMs) };
  yield { name: 'snapshot of 64 MiB made durable', value: rate(whole.madeMs), unit: 'MiB/s', baseline };
  yield { name: 'sealed snapshot of 64 MiB made durable', value: rate(sealed.madeMs), unit: 'MiB/s', baseline };
  yield { name: 'snapshot of 64 MiB moved, both ends', value: rate(whole.durationMs), unit: 'MiB/s' };
  yield { name: 'sealed snapshot of 64 MiB moved', value: rate(sealed.durationMs), unit: 'MiB/s' };
  yield { name: 'snapshot of 64 MiB read back and checked', value: rate(whole.readMs), unit: 'MiB/s' };
  yield { name: 'made after 1 % of its pages changed', value: next.madeMs, unit: 'ms' };
  yield { name: 'moved after 1 % of its pages changed', value: next.durationMs, unit: 'ms' };
  const all = { name: 'all of it', value: whole.bytesMoved };
  yield { name: 'bytes moved after 1 % of its pages changed', value: next.bytesMoved, unit: 'B', baseline: all };
}

async function moveOne(
  { provider, holder, peer }: { provider: ChildProcess; holder: SnapshotHost; peer: ProviderOrder['reader'] },
  order: ProviderOrder,
): Promise<Moved> {
  provider.send(order);
  const made = await nextAnswer(provider);
  if (made.kind !== 'made') throw new TypeError('the provider made no snapshot');
  const { step } = order;
  const expected = { job: TEST_JOB, step, stateRoot: new Uint8Array(made.stateRoot) };
  const fetched = await holder.fetcher.fetch({
    peer,
    reference: made.reference,
    key: { role: 'holder', lease: leaseOf(1), step },
    snapshotKey: null,
    expected,
    keptUntilMs: 2e15,
  });
  const startedMs = performance.now();
  const key = order.key === null ? null : new Uint8Array(order.key);
  const resume = await readResumeState(holder.store, made.reference.blob, { key, expected });
  let pieces = 0;
  for await (const _piece of resume.pieces) pieces += 1;
  if (pieces !== order.pages) throw new TypeError(`${pieces} pieces came back`);
  return { ...fetched, madeMs: made.madeMs, readMs: performance.now() - startedMs };
}

async function nextAnswer(provider: ChildProcess): Promise<ProviderAnswer> {
  const [answer] = (await once(provider, 'message')) as [ProviderAnswer];
  return answer;
}

async function measurePlainFile(folder: string): Promise<number> {
  const { pieces } = createBenchState(1, PAGES, 0);
  const startedMs = performance.now();
  await using file = await open(join(folder, 'plain.pack.tmp'), 'wx');
  for (const piece of pieces) await file.write(piece);
  await file.sync();
  return performance.now() - startedMs;
}
