import { Keypair } from '@solana/web3.js';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { InclusionCheck } from '../../../src/chain/anchoring/inclusion-check.ts';
import { SystemRandom } from '../../../src/lib/random.ts';
import { type AnchoringNode, readProofAnchor, startAnchoringNode } from '../../support/anchoring-node.ts';
import { NEVER, receiptLeaf, receiptLeaves } from '../../support/anchoring-rig.ts';
import { startLocalnet, type TestLocalnet } from '../../support/localnet.ts';
import { MemoryDatabase } from '../../support/memory-database.ts';

const SEED = new Uint8Array(32).fill(5);
/** One more than the ring of a log holds. */
const PAST_THE_RING = 65;

let net: TestLocalnet;
let stack: AsyncDisposableStack;

beforeEach(async () => {
  stack = new AsyncDisposableStack();
  net = stack.use(await startLocalnet({ programs: [await readProofAnchor()] }));
  await net.airdrop(Keypair.fromSeed(SEED).publicKey, 1_000_000_000);
});
afterEach(() => stack.disposeAsync());

async function start(database = new MemoryDatabase()) {
  const { url: rpcUrl } = net;
  const node = stack.use(await startAnchoringNode(database, { rpcUrl, genesis: net.status.genesis, seed: SEED }));
  const { reader, sender, service: anchoring } = node;
  return { node, check: new InclusionCheck({ anchoring, reader, sender, database, random: new SystemRandom() }) };
}

async function anchorLeaf(node: AnchoringNode, number: number): Promise<void> {
  await node.service.add([receiptLeaf(number)]);
  const view = await node.service.flush();
  await node.service.wait(view?.batch ?? -1, { signal: AbortSignal.timeout(20_000) });
}

describe('a check by the program', () => {
  it('finds a receipt among the last entries, and one that has left the ring by the head', async () => {
    const { node, check } = await start();
    await node.service.add(receiptLeaves(100));
    await node.service.wait((await node.service.flush())?.batch ?? -1, { signal: AbortSignal.timeout(20_000) });
    const recent = await check.run(receiptLeaf(42).digest, { signal: NEVER });
    expect(recent).toMatchObject({ against: 'recent', feeLamports: 5_000n, anchor: { entry: 0, batchSize: 100 } });
    for (let number = 0; number < PAST_THE_RING; number += 1) await anchorLeaf(node, 1_000 + number);
    const logged = await check.run(receiptLeaf(42).digest, { signal: NEVER });
    expect(logged).toMatchObject({ against: 'logged', anchor: { entry: 0 } });
    const status = await net.connection.getSignatureStatus(logged.transaction, { searchTransactionHistory: true });
    expect(status.value).toMatchObject({ err: null, confirmationStatus: 'finalized' });
  });

  it('says that a receipt is not anchored', async () => {
    const { check } = await start();
    await expect(check.run(receiptLeaf(1).digest, { signal: NEVER })).rejects.toMatchObject({
      code: 'ANCHORING_NOT_ANCHORED',
    });
  });

  it('says that entries of another writer are missing', async () => {
    const { node, check } = await start();
    await anchorLeaf(node, 1);
    // The same wallet with another database.
    const other = await start();
    for (let number = 0; number < PAST_THE_RING; number += 1) await anchorLeaf(other.node, 1_000 + number);
    await expect(check.run(receiptLeaf(1).digest, { signal: NEVER })).rejects.toMatchObject({
      code: 'ANCHORING_ENTRIES_MISSING',
      info: { entry: 0, missing: PAST_THE_RING },
    });
  });
});
