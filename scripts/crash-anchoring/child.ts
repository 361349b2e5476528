/**
 * The process that is killed: takes leaves by number and anchors them. Speaks lines of JSON on stdout; what it has said
 * to have taken it must never lose.
 */

import { BlockHash } from '../../src/domain/chain.ts';
import { LevelDatabase } from '../../src/storage/level-database.ts';
import { NoopLogger } from '../../src/telemetry/noop-logger.ts';
import { startAnchoringNode } from '../../test/support/anchoring-node.ts';
import { createLeaf } from './leaves.ts';

export interface ChildTask {
  readonly database: string;
  readonly rpcUrl: string;
  readonly genesis: string;
  readonly walletSeed: string;
  readonly leafSeed: number;
  /** Numbers of leaves that nobody is known to have taken, in the order in which they are to be given. */
  readonly leaves: readonly number[];
  /** Leaves of one call, at most. */
  readonly callLeaves: number;
  /** Ends once all that was ever taken is final. */
  readonly untilFinal: boolean;
}

export type ChildLine =
  | { readonly kind: 'started' }
  | { readonly kind: 'taken'; readonly leaves: readonly number[] }
  | { readonly kind: 'final'; readonly anchored: number }
  | { readonly kind: 'failed'; readonly reason: string };

function say(line: ChildLine): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

const POLL_MS = 25;

async function main(task: ChildTask): Promise<void> {
  await using database = await LevelDatabase.open(task.database, { logger: new NoopLogger() });
  await using node = await startAnchoringNode(database, {
    rpcUrl: task.rpcUrl,
    genesis: BlockHash(task.genesis),
    seed: new Uint8Array(Buffer.from(task.walletSeed, 'hex')),
    anchoring: { maxReceipts: 25, maxWaitMs: 40, maxBatchLeaves: 60 },
  });
  say({ kind: 'started' });
  for (let from = 0; from < task.leaves.length; from += task.callLeaves) {
    const numbers = task.leaves.slice(from, from + task.callLeaves);
    await node.service.add(numbers.map((number) => createLeaf(task.leafSeed, number)));
    say({ kind: 'taken', leaves: numbers });
    await new Promise((resolve) => setTimeout(resolve, numbers.length));
  }
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    const { waiting, batchesInFlight, anchored } = node.service.status();
    if (!task.untilFinal || waiting > 0 || batchesInFlight > 0) continue;
    say({ kind: 'final', anchored });
    return;
  }
}

try {
  await main(JSON.parse(process.argv[2] ?? '{}') as ChildTask);
} catch (error) {
  say({ kind: 'failed', reason: error instanceof Error ? (error.stack ?? error.message) : String(error) });
  process.exitCode = 1;
}
