import { afterEach, describe, expect, it } from 'vitest';
import { computeLogAddress } from '../../../../src/chain/anchoring/anchor-log.ts';
import {
  encodeAppend,
  encodeCloseLog,
  encodeCreateLog,
  encodeSetDelegate,
} from '../../../../src/chain/generated/proof-anchor.ts';
import {
  type AnchoringRig,
  createRig,
  isProven,
  NEVER,
  type RigOptions,
  receiptLeaf,
  STRANGER,
  WALLET,
} from '../../../support/anchoring-rig.ts';
import { until } from '../../../support/manual-clock.ts';
import { PROGRAM } from '../../../support/memory-chain.ts';

const LOG = computeLogAddress(PROGRAM, WALLET);
const rigs: AnchoringRig[] = [];

async function start(options: RigOptions = {}): Promise<AnchoringRig> {
  const rig = await createRig(options);
  rigs.push(rig);
  return rig;
}

async function restart(rig: AnchoringRig): Promise<AnchoringRig> {
  const next = await rig.restart();
  rigs.push(next);
  return next;
}

async function anchorNow({ service }: AnchoringRig): Promise<void> {
  const view = await service.flush();
  if (view !== null) await service.wait(view.batch, { signal: NEVER });
}

/** Somebody else's append at the end of the log, by the owner's key or its delegate's. */
function appendAsStranger({ chain }: AnchoringRig, root: Uint8Array, authority = STRANGER): void {
  const log = chain.logs.get(LOG);
  if (log === undefined) throw new Error('there is no log');
  const args = {
    generation: BigInt(log.generation),
    expectedSize: BigInt(log.entries.length),
    batchRoot: root,
    batchSize: 1n,
  };
  chain.balances.set(authority, 1_000_000n);
  chain.execute([encodeSetDelegate(PROGRAM, { owner: WALLET, log: LOG }, { delegate: STRANGER })], WALLET);
  const done = chain.execute([encodeAppend(PROGRAM, { authority, log: LOG }, args)], authority);
  if (done.failure !== null) throw new Error(done.failure.detail);
}

afterEach(async () => {
  for (const rig of rigs.splice(0)) await rig.service.stop();
});

describe('a log that others write to', () => {
  it.each([true, false])('takes the next place after another entry (preflight: %s)', async (hasPreflight) => {
    const rig = await start();
    rig.journal.hasPreflight = hasPreflight;
    await rig.service.add([receiptLeaf(1)]);
    await anchorNow(rig);
    let others = 0;
    rig.journal.beforeLanding = () => {
      if (others++ < 3) appendAsStranger(rig, new Uint8Array(32).fill(others));
    };
    await rig.service.add([receiptLeaf(2)]);
    await anchorNow(rig);
    expect(rig.chain.logs.get(LOG)?.entries).toHaveLength(5);
    expect(await isProven(rig.service, rig.chain, receiptLeaf(2))).toBe(true);
  });

  it('adopts its own root where another has written it, and does not write it twice', async () => {
    for (const hasPreflight of [true, false]) {
      const rig = await start();
      rig.journal.hasPreflight = hasPreflight;
      await rig.service.add([receiptLeaf(1)]);
      await anchorNow(rig);
      await rig.service.add([receiptLeaf(2)]);
      let isFirst = true;
      rig.journal.beforeLanding = () => {
        if (!isFirst) return;
        isFirst = false;
        const [row] = [...rig.database.rows('anchor-batches').entries()].at(-1) ?? [];
        expect(row).toBeDefined();
        appendAsStranger(rig, sealedRoot);
        for (let each = 0; each < 70; each++) appendAsStranger(rig, new Uint8Array(32).fill(each + 1));
        rig.chain.finalize();
      };
      const sealedRoot = new Uint8Array(32);
      const view = await rig.service.flush();
      sealedRoot.set(view?.batchRoot ?? []);
      await rig.service.wait(view?.batch ?? -1, { signal: NEVER });
      const roots = rig.chain.logs.get(LOG)?.entries.map(({ batchRoot }) => Buffer.from(batchRoot).toString('hex'));
      expect(roots?.filter((root) => root === Buffer.from(sealedRoot).toString('hex'))).toHaveLength(1);
      expect((await rig.service.list({ limit: 1 }))[0]).toMatchObject({ state: 'finalized', entry: 1 });
      expect(await isProven(rig.service, rig.chain, receiptLeaf(2))).toBe(true);
    }
  });

  it('makes the log anew after it was closed, with another generation', async () => {
    const rig = await start();
    await rig.service.add([receiptLeaf(1)]);
    await anchorNow(rig);
    const before = await rig.service.proof(receiptLeaf(1).digest);
    let isFirst = true;
    rig.journal.beforeLanding = () => {
      const log = rig.chain.logs.get(LOG);
      if (!isFirst || log === undefined) return;
      isFirst = false;
      const accounts = { owner: WALLET, log: LOG, destination: WALLET };
      rig.chain.execute([encodeCloseLog(PROGRAM, accounts, { generation: BigInt(log.generation) })], WALLET);
    };
    await rig.service.add([receiptLeaf(2)]);
    await anchorNow(rig);
    const after = await rig.service.proof(receiptLeaf(2).digest);
    expect(after?.entry).toBe(0);
    expect(after?.generation).toBeGreaterThan(before?.generation ?? Infinity);
    expect(await isProven(rig.service, rig.chain, receiptLeaf(2))).toBe(true);
  });

  it('goes on in a log that was closed and made anew by another', async () => {
    const rig = await start();
    await rig.service.add([receiptLeaf(1)]);
    await anchorNow(rig);
    let isFirst = true;
    rig.journal.beforeLanding = () => {
      const log = rig.chain.logs.get(LOG);
      if (!isFirst || log === undefined) return;
      isFirst = false;
      const accounts = { owner: WALLET, log: LOG, destination: WALLET };
      rig.chain.execute([encodeCloseLog(PROGRAM, accounts, { generation: BigInt(log.generation) })], WALLET);
      rig.chain.execute([encodeCreateLog(PROGRAM, { payer: WALLET, owner: WALLET, log: LOG })], WALLET);
      appendAsStranger(rig, new Uint8Array(32).fill(3));
    };
    await rig.service.add([receiptLeaf(2)]);
    await anchorNow(rig);
    expect(await isProven(rig.service, rig.chain, receiptLeaf(2))).toBe(true);
    expect((await rig.service.list({ limit: 1 }))[0]).toMatchObject({ entry: 1 });
  });

  it('does not write a root again that a restored database has forgotten', async () => {
    const rig = await start();
    await rig.service.add([receiptLeaf(1)]);
    rig.reader.isReachable = false;
    await rig.service.flush();
    const backup = rig.database.clone();
    rig.reader.isReachable = true;
    await rig.service.flush();
    await until(() => rig.service.status().anchored === 1);
    await rig.service.stop();
    rig.journal.records.clear();
    rig.database.rows('anchor-batches').clear();
    for (const [key, value] of backup.rows('anchor-batches')) rig.database.rows('anchor-batches').set(key, value);
    const restored = await restart(rig);
    await until(() => restored.service.status().anchored === 1);
    expect(restored.chain.logs.get(LOG)?.entries).toHaveLength(1);
    expect(await isProven(restored.service, restored.chain, receiptLeaf(1))).toBe(true);
  });

  it('does not write a root again whose transaction no endpoint has any more, and says what is missing', async () => {
    const rig = await start({ retryFirstMs: 100 });
    await rig.service.add([receiptLeaf(1)]);
    rig.reader.isReachable = false;
    const view = await rig.service.flush();
    rig.chain.execute([encodeCreateLog(PROGRAM, { payer: WALLET, owner: WALLET, log: LOG })], WALLET);
    appendAsStranger(rig, view?.batchRoot ?? new Uint8Array());
    rig.chain.finalize();
    rig.reader.firstSlot = rig.chain.slot + 1;
    rig.reader.isReachable = true;
    await rig.service.flush();
    await until(() => rig.service.status().problem?.code === 'ANCHORING_HISTORY_GONE');
    expect(rig.chain.logs.get(LOG)?.entries).toHaveLength(1);
    rig.reader.firstSlot = 0;
    await rig.clock.advance(1_000);
    await until(() => rig.service.status().anchored === 1);
    expect(rig.chain.logs.get(LOG)?.entries).toHaveLength(1);
  });

  it('takes no other place where history does not tell what is in the log since', async () => {
    const rig = await start({ retryFirstMs: 100, retryLongestMs: 100 });
    await rig.service.add([receiptLeaf(1)]);
    await anchorNow(rig);
    let isFirst = true;
    rig.journal.beforeLanding = () => {
      if (!isFirst) return;
      isFirst = false;
      for (let each = 0; each < 70; each++) appendAsStranger(rig, new Uint8Array(32).fill(each + 1));
      rig.reader.firstSlot = rig.chain.slot - 4;
    };
    await rig.service.add([receiptLeaf(2)]);
    await rig.service.flush();
    await until(() => rig.service.status().problem?.code === 'ANCHORING_HISTORY_GONE');
    await rig.clock.advance(1_000);
    expect(rig.service.status()).toMatchObject({ anchored: 1, problem: { code: 'ANCHORING_HISTORY_GONE' } });
    expect(rig.chain.logs.get(LOG)?.entries).toHaveLength(71);
    rig.reader.firstSlot = 0;
    await rig.clock.advance(1_000);
    await until(() => rig.service.status().anchored === 2);
    expect(rig.chain.logs.get(LOG)?.entries).toHaveLength(72);
  });

  it.each(['stays', 'is taken back by a fork'])(
    'counts a root that it found once it is final, and one that %s',
    async (fate) => {
      const rig = await start({ retryFirstMs: 100, retryLongestMs: 100 });
      await rig.service.add([receiptLeaf(1)]);
      await anchorNow(rig);
      const root = new Uint8Array(32);
      let isFirst = true;
      rig.journal.beforeLanding = () => {
        if (!isFirst) return;
        isFirst = false;
        appendAsStranger(rig, root);
      };
      await rig.service.add([receiptLeaf(2)]);
      root.set((await rig.service.flush())?.batchRoot ?? []);
      await until(() => rig.service.status().problem?.code === 'ANCHORING_NOT_FINAL');
      expect((await rig.service.list({ limit: 1 }))[0]).toMatchObject({ state: 'confirmed', entry: 1 });
      const entries = rig.chain.logs.get(LOG)?.entries;
      if (fate === 'stays') {
        rig.chain.finalize();
      } else {
        rig.chain.transactions.pop();
        entries?.pop();
      }
      await rig.clock.advance(500);
      await until(() => rig.service.status().anchored === 2);
      expect(entries?.filter(({ batchRoot }) => Buffer.compare(batchRoot, root) === 0)).toHaveLength(1);
      expect(await isProven(rig.service, rig.chain, receiptLeaf(2))).toBe(true);
    },
  );
});
