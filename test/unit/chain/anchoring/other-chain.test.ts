import { afterEach, expect, it } from 'vitest';
import { InclusionCheck } from '../../../../src/chain/anchoring/inclusion-check.ts';
import { BlockHash, encodeBase58 } from '../../../../src/domain/chain.ts';
import { SystemRandom } from '../../../../src/lib/random.ts';
import {
  type AnchoringRig,
  createRig,
  isProven,
  NEVER,
  type RigOptions,
  receiptLeaf,
  receiptLeaves,
} from '../../../support/anchoring-rig.ts';
import { until } from '../../../support/manual-clock.ts';
import { GENESIS, MemoryChain } from '../../../support/memory-chain.ts';
import { MemorySender } from '../../../support/memory-chain-client.ts';

const OTHER_GENESIS = BlockHash(encodeBase58(new Uint8Array(32).fill(10)));
const rigs: AnchoringRig[] = [];

async function start(options: RigOptions = {}): Promise<AnchoringRig> {
  const rig = await createRig(options);
  rigs.push(rig);
  return rig;
}

async function move(rig: AnchoringRig, chain: MemoryChain): Promise<AnchoringRig> {
  const next = await rig.moveTo(chain);
  rigs.push(next);
  return next;
}

async function anchor({ service }: AnchoringRig, count: number, from: number): Promise<void> {
  await service.add(receiptLeaves(count, from));
  await service.wait((await service.flush())?.batch ?? -1, { signal: NEVER });
}

afterEach(async () => {
  for (const rig of rigs.splice(0)) await rig.service.stop();
});

it('what is anchored is counted and listed for each chain', async () => {
  const first = await start();
  await anchor(first, 2, 0);
  const second = await move(first, new MemoryChain(OTHER_GENESIS));
  expect(second.service.status().anchored).toBe(0);
  expect(await second.service.list({ limit: 5 })).toMatchObject([
    { batch: 0, state: 'finalized', genesis: GENESIS, isOtherChain: true },
  ]);
  await anchor(second, 3, 10);
  expect(second.service.status().anchored).toBe(3);
  const [newest] = await second.service.list({ limit: 1 });
  expect(newest).toMatchObject({ batch: 1, state: 'finalized', genesis: OTHER_GENESIS, isOtherChain: false });
  const back = await move(second, first.chain);
  expect(back.service.status().anchored).toBe(2);
  await anchor(back, 4, 20);
  expect(back.service.status().anchored).toBe(6);
});

it('what is anchored on which chain is known after old batches were forgotten', async () => {
  const first = await start({ keepMs: 1_000 });
  for (const batch of [0, 1, 2]) await anchor(first, 2, 10 * batch);
  const second = await move(first, new MemoryChain(OTHER_GENESIS));
  for (const batch of [3, 4, 5]) await anchor(second, 3, 10 * batch);
  await second.clock.advance(10_000);
  // The newest of each.
  await until(() => second.database.rows('anchor-batches').size === 2);
  const next = await second.restart();
  rigs.push(next);
  expect(next.service.status().anchored).toBe(9);
  expect((await move(next, first.chain)).service.status().anchored).toBe(6);
});

it('a check on chain of what is on another one names both and where to ask', async () => {
  const first = await start();
  await anchor(first, 1, 0);
  const { service: anchoring, database, reader, journal } = await move(first, new MemoryChain(OTHER_GENESIS));
  const random = new SystemRandom();
  const check = new InclusionCheck({ anchoring, database, reader, sender: new MemorySender(journal), random });
  await expect(check.run(receiptLeaf(0).digest, { signal: NEVER })).rejects.toMatchObject({
    code: 'ANCHORING_OTHER_CHAIN',
    info: { anchored: GENESIS, network: OTHER_GENESIS },
    hint: expect.stringContaining('bundle verify'),
  });
});

it.each([
  ['sealed and never sent', (rig: AnchoringRig) => (rig.reader.isReachable = false)],
  ['about to be sent', (rig: AnchoringRig) => (rig.journal.isReachable = false)],
])('leaves of a batch that was %s are anchored on the next chain', async (_name, cut) => {
  const first = await start();
  await anchor(first, 1, 0);
  cut(first);
  await first.service.add(receiptLeaves(2, 10));
  const sealed = await first.service.flush();
  await until(() => first.journal.records.has('anchor/1/0') || first.service.status().problem !== null);
  const second = await move(first, new MemoryChain(OTHER_GENESIS));
  await second.service.add(receiptLeaves(1, 20));
  expect(await second.service.wait(sealed?.batch ?? -1, { signal: NEVER })).toMatchObject({
    genesis: OTHER_GENESIS,
    isOtherChain: false,
  });
  for (const leaf of receiptLeaves(2, 10)) expect(await isProven(second.service, second.chain, leaf)).toBe(true);
  await until(() => second.service.status().anchored === 2);
});

it('what was on its way on another chain has no place on this one until it answers', async () => {
  const first = await start();
  await anchor(first, 1, 0);
  first.journal.isReachable = false;
  await first.service.add(receiptLeaves(1, 10));
  await first.service.flush();
  await until(() => first.journal.records.has('anchor/1/0'));
  expect((await first.service.list({ limit: 1 }))[0]).toMatchObject({ state: 'sent', entry: 1, genesis: GENESIS });
  const second = await first.moveTo(new MemoryChain(OTHER_GENESIS), { isOff: true });
  rigs.push(second);
  const [view] = await second.service.list({ limit: 1 });
  expect(view).toMatchObject({ batch: 1, entry: null, genesis: OTHER_GENESIS, isOtherChain: false });
  expect(view?.state).not.toBe('sent');
});
