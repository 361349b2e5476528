import { afterEach, describe, expect, it } from 'vitest';
import { computeLogAddress } from '../../../../src/chain/anchoring/anchor-log.ts';
import { anchorSchema } from '../../../../src/domain/anchor.ts';
import { decodeBase58 } from '../../../../src/domain/chain.ts';
import {
  type AnchoringRig,
  checkpointLeaf,
  createRig,
  isProven,
  NEVER,
  type RigOptions,
  receiptLeaf,
  receiptLeaves,
  WALLET,
} from '../../../support/anchoring-rig.ts';
import { settleTasks, until } from '../../../support/manual-clock.ts';
import { GENESIS, PROGRAM } from '../../../support/memory-chain.ts';

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

const code = (expected: string) => expect.objectContaining({ code: expected });

afterEach(async () => {
  for (const rig of rigs.splice(0)) await rig.service.stop();
});

describe('AnchoringService', () => {
  it('makes the log, writes one root for all leaves, and proves each receipt', async () => {
    const rig = await start();
    const receipts = receiptLeaves(700);
    await rig.service.add([...receipts, checkpointLeaf(1)]);
    expect(rig.service.status()).toMatchObject({
      log: LOG,
      waiting: 701,
      batchesInFlight: 0,
      anchored: 0,
      problem: null,
    });
    await anchorNow(rig);
    expect(rig.chain.logs.get(LOG)?.entries).toHaveLength(1);
    for (const each of [0, 255, 256, 511, 699]) {
      expect(await isProven(rig.service, rig.chain, receiptLeaf(each))).toBe(true);
    }
    const [view] = await rig.service.list({ limit: 10 });
    expect(view).toMatchObject({
      batch: 0,
      state: 'finalized',
      receipts: 700,
      checkpoints: 1,
      log: LOG,
      entry: 0,
      feeLamports: 5_000n,
      problem: null,
    });
    expect(rig.service.status()).toMatchObject({ waiting: 0, batchesInFlight: 0, anchored: 701 });
  });

  it('gives anchors as a bundle carries them', async () => {
    const rig = await start();
    await rig.service.add(receiptLeaves(3));
    await anchorNow(rig);
    const anchor = await rig.service.proof(receiptLeaf(1).digest);
    expect(anchorSchema.safeParse(anchorSchema.encode(anchor ?? ({} as never))).success).toBe(true);
    expect(anchor).toMatchObject({ leafIndex: 1, batchSize: 3, entry: 0, genesis: decodeBase58(GENESIS) });
    expect(await rig.service.proof(receiptLeaf('unknown').digest)).toBeUndefined();
    expect(await rig.service.batchOf(receiptLeaf(1).digest)).toBe(0);
    expect(await rig.service.batchOf(receiptLeaf('unknown').digest)).toBeUndefined();
    expect(await rig.service.proof(new Uint8Array(31))).toBeUndefined();
  });

  it('gives no anchor that does not hold, if its tree was damaged on disk', async () => {
    const rig = await start();
    await rig.service.add(receiptLeaves(3));
    await anchorNow(rig);
    const [[key, row] = ['', new Uint8Array()]] = rig.database.rows('anchor-trees');
    rig.database.rows('anchor-trees').set(
      key,
      row.map((byte, at) => (at === 40 ? byte ^ 1 : byte)),
    );
    await expect(rig.service.proof(receiptLeaf(0).digest)).rejects.toEqual(code('ANCHORING_DAMAGED'));
  });

  it('does not take a checkpoint root for a receipt', async () => {
    const rig = await start();
    await rig.service.add([checkpointLeaf(1)]);
    await anchorNow(rig);
    expect(await rig.service.proof(checkpointLeaf(1).digest)).toBeUndefined();
  });

  it('takes a leaf once, whenever it comes again', async () => {
    const rig = await start();
    await Promise.all([
      rig.service.add([receiptLeaf(1), receiptLeaf(1)]),
      rig.service.add([receiptLeaf(1), receiptLeaf(2)]),
    ]);
    expect(rig.service.status().waiting).toBe(2);
    await anchorNow(rig);
    await rig.service.add([receiptLeaf(2), receiptLeaf(3)]);
    expect(rig.service.status().waiting).toBe(1);
    await anchorNow(rig);
    const again = await restart(rig);
    await again.service.add(receiptLeaves(4));
    expect(again.service.status().waiting).toBe(1);
  });

  it('is durable before it answers', async () => {
    const rig = await start();
    const durable: boolean[] = [];
    rig.database.onWrite = (_, options) => durable.push(options.durable === true);
    await rig.service.add(receiptLeaves(2));
    expect(durable).toEqual([true]);
    const next = await restart(rig);
    expect(next.service.status().waiting).toBe(2);
  });

  it('writes the calls of one turn together', async () => {
    const rig = await start();
    let writes = 0;
    rig.database.onWrite = () => writes++;
    await Promise.all(receiptLeaves(100).map((leaf) => rig.service.add([leaf])));
    expect(writes).toBe(1);
    expect(rig.service.status().waiting).toBe(100);
  });

  it('seals by count', async () => {
    const rig = await start({ maxReceipts: 5 });
    await rig.service.add(receiptLeaves(4));
    await settleTasks();
    expect(rig.service.status()).toMatchObject({ waiting: 4, anchored: 0 });
    await rig.service.add([receiptLeaf(4)]);
    await until(() => rig.service.status().anchored === 5);
  });

  it('seals by time since the first leaf', async () => {
    const rig = await start({ maxWaitMs: 1_000 });
    await rig.service.add([receiptLeaf(1)]);
    await rig.clock.advance(999);
    await rig.service.add([receiptLeaf(2)]);
    expect(rig.service.status()).toMatchObject({ waiting: 2, anchored: 0 });
    await rig.clock.advance(1);
    await until(() => rig.service.status().anchored === 2);
  });

  it('counts the time that it was not running', async () => {
    const rig = await start({ maxWaitMs: 1_000 });
    await rig.service.add([receiptLeaf(1)]);
    await rig.service.stop();
    await rig.clock.advance(5_000);
    const next = await restart(rig);
    await until(() => next.service.status().anchored === 1);
  });

  it('collects while a batch is in flight, beyond the count, and up to the largest batch', async () => {
    const rig = await start({ maxReceipts: 2, maxBatchLeaves: 6 });
    rig.journal.isReachable = false;
    await rig.service.add(receiptLeaves(2));
    await until(() => rig.service.status().batchesInFlight === 1);
    await rig.service.add(receiptLeaves(5, 2));
    expect(rig.service.status()).toMatchObject({ waiting: 5, batchesInFlight: 1 });
    await rig.service.add(receiptLeaves(3, 7));
    expect(rig.service.status()).toMatchObject({ waiting: 2, batchesInFlight: 2 });
    rig.journal.isReachable = true;
    await until(() => rig.service.status().anchored === 10);
    expect(rig.chain.logs.get(LOG)?.entries.map(({ batchSize }) => batchSize)).toEqual([2n, 6n, 2n]);
  });

  it('refuses leaves beyond its bound, all of a call, and takes them again once there is room', async () => {
    const rig = await start({ maxWaitingLeaves: 10 });
    await rig.service.add(receiptLeaves(8));
    await expect(rig.service.add(receiptLeaves(3, 8))).rejects.toEqual(code('ANCHORING_TOO_MANY_WAITING'));
    expect(rig.service.status().waiting).toBe(8);
    await rig.service.add(receiptLeaves(10));
    await expect(rig.service.add([receiptLeaf(10)])).rejects.toEqual(code('ANCHORING_TOO_MANY_WAITING'));
    await rig.service.add([receiptLeaf(3)]);
    await anchorNow(rig);
    await rig.service.add([receiptLeaf(10)]);
  });

  it('refuses what is no digest, and takes nothing of that call', async () => {
    const rig = await start();
    const bad = { kind: 'receipt' as const, digest: new Uint8Array(31) };
    await expect(rig.service.add([receiptLeaf(1), bad])).rejects.toEqual(code('ANCHORING_BAD_LEAF'));
    expect(rig.service.status().waiting).toBe(0);
  });

  it('keeps its state if a write fails', async () => {
    const rig = await start();
    await rig.service.add(receiptLeaves(3));
    rig.database.onWrite = () => {
      throw new Error('the disk is full');
    };
    await expect(rig.service.add(receiptLeaves(300, 3))).rejects.toThrow('the disk is full');
    await expect(rig.service.flush()).rejects.toThrow('the disk is full');
    rig.database.onWrite = undefined;
    expect(rig.service.status().waiting).toBe(3);
    await rig.service.add(receiptLeaves(300));
    await anchorNow(rig);
    expect(await isProven(rig.service, rig.chain, receiptLeaf(299))).toBe(true);
  });

  it('seals again what could not be sealed', async () => {
    const rig = await start({ maxReceipts: 2, retryFirstMs: 50 });
    await rig.service.add([receiptLeaf(1)]);
    let failures = 0;
    rig.database.onWrite = (operations) => {
      if (operations.some(({ key }) => key.endsWith('roots')) && failures++ === 0) throw new Error('no room');
    };
    await rig.service.add([receiptLeaf(2)]);
    await until(() => rig.service.status().problem !== null);
    await rig.clock.advance(50);
    await until(() => rig.service.status().anchored === 2);
    expect(rig.service.status().problem).toBeNull();
  });

  it('has nothing to flush while nothing is open', async () => {
    const rig = await start();
    expect(await rig.service.flush()).toBeNull();
    expect(await rig.service.list({ limit: 5 })).toEqual([]);
    await expect(rig.service.wait(0, { signal: NEVER })).rejects.toEqual(code('CHAIN_NO_BATCH'));
  });

  it('lists newest first', async () => {
    const rig = await start();
    for (const each of [0, 1, 2]) {
      await rig.service.add([receiptLeaf(each)]);
      await anchorNow(rig);
    }
    await rig.service.add([receiptLeaf(3)]);
    const views = await rig.service.list({ limit: 3 });
    expect(views.map(({ batch, state }) => [batch, state])).toEqual([
      [3, 'open'],
      [2, 'finalized'],
      [1, 'finalized'],
    ]);
    expect(await rig.service.list({ limit: 0 })).toEqual([]);
  });

  it('refuses calls once it has stopped, and ends those that wait', async () => {
    const rig = await start();
    rig.journal.isReachable = false;
    await rig.service.add([receiptLeaf(1)]);
    const view = await rig.service.flush();
    const waiting = expect(rig.service.wait(view?.batch ?? -1, { signal: NEVER })).rejects.toEqual(
      code('ANCHORING_STOPPED'),
    );
    await rig.service.stop();
    await rig.service.stop();
    await waiting;
    await expect(rig.service.add([receiptLeaf(2)])).rejects.toEqual(code('ANCHORING_STOPPED'));
    expect(rig.clock.pending).toBe(0);
  });

  it('forgets proofs of old batches, row by row, and never the number of the next', async () => {
    const rig = await start({ keepMs: 10_000 });
    await rig.service.add(receiptLeaves(600));
    await anchorNow(rig);
    await rig.clock.advance(20_001);
    expect(await isProven(rig.service, rig.chain, receiptLeaf(0))).toBe(true);
    await rig.service.add([receiptLeaf('new')]);
    await anchorNow(rig);
    await rig.clock.advance(10_000);
    expect(await rig.service.proof(receiptLeaf(0).digest)).toBeUndefined();
    expect(rig.database.rows('anchor-leaves').size).toBe(1);
    expect([...rig.database.rows('anchor-trees').keys()].every((key) => key.startsWith('000000000001'))).toBe(true);
    expect((await rig.service.list({ limit: 10 })).map(({ batch }) => batch)).toEqual([1]);
    expect(rig.service.status().anchored).toBe(601);
    await rig.clock.advance(50_000);
    const next = await restart(rig);
    await next.service.add([receiptLeaf('newest')]);
    await anchorNow(next);
    expect((await next.service.list({ limit: 1 }))[0]?.batch).toBe(2);
  });
});

describe('a batch that the chain does not take', () => {
  it('waits for funds with the next step, and goes on by itself', async () => {
    const rig = await start({ lamports: 0n, retryFirstMs: 100, retryLongestMs: 400 });
    await rig.service.add([receiptLeaf(1)]);
    const view = await rig.service.flush();
    await until(() => rig.service.status().problem !== null);
    // The log's rent, two fees, and what the wallet must keep.
    expect(rig.service.status().problem).toMatchObject({
      code: 'CHAIN_INSUFFICIENT_FUNDS',
      message: expect.stringMatching(/needs 36536080: 35635200 of rent .* 10000 of fees .* 890880 .*wallet airdrop/),
    });
    expect((await rig.service.list({ limit: 1 }))[0]).toMatchObject({
      state: 'waiting',
      problem: { code: 'CHAIN_INSUFFICIENT_FUNDS' },
    });
    await rig.service.add([receiptLeaf(2)]);
    rig.chain.balances.set(WALLET, 1_000_000_000n);
    await rig.clock.advance(400);
    expect(await rig.service.wait(view?.batch ?? -1, { signal: NEVER })).toMatchObject({
      state: 'finalized',
      problem: null,
    });
    expect(rig.service.status()).toMatchObject({ problem: null, anchored: 1, waiting: 1 });
  });

  it('waits for a chain that does not answer, while more leaves are taken', async () => {
    const rig = await start({ retryFirstMs: 100, retryLongestMs: 400 });
    rig.reader.isReachable = false;
    await rig.service.add([receiptLeaf(1)]);
    await rig.service.flush();
    await until(() => rig.service.status().problem !== null);
    expect(rig.service.status().problem?.code).toBe('CHAIN_UNREACHABLE');
    await rig.service.add([receiptLeaf(2)]);
    await rig.clock.advance(2_000);
    rig.reader.isReachable = true;
    await rig.clock.advance(400);
    await until(() => rig.service.status().anchored === 1);
  });

  it('is tried at once when somebody asks for it', async () => {
    const rig = await start({ lamports: 0n });
    await rig.service.add([receiptLeaf(1)]);
    await rig.service.flush();
    await until(() => rig.service.status().problem !== null);
    rig.chain.balances.set(WALLET, 1_000_000_000n);
    expect(await rig.service.flush()).toBeNull();
    await until(() => rig.service.status().anchored === 1);
  });

  it.each([12, null, 6018])('says of a program that answers with %j that it is no proof-anchor', async (answer) => {
    const rig = await start();
    rig.chain.otherProgram = answer;
    await rig.service.add(receiptLeaves(1));
    await rig.service.flush();
    const expected = { code: 'ANCHORING_OTHER_PROGRAM', message: expect.stringContaining(PROGRAM) };
    await until(() => rig.service.status().problem !== null);
    expect(rig.service.status().problem).toMatchObject(expected);
    expect(rig.service.status().problem?.message).toContain('Compare chain.programs.proofAnchor');
    rig.chain.otherProgram = undefined;
    await anchorNow(rig);
    await rig.clock.advance(60_000);
    expect(rig.service.status()).toMatchObject({ anchored: 1, problem: null });
    // The log is there, and what is at the address was replaced.
    rig.chain.otherProgram = answer;
    await rig.service.add(receiptLeaves(2));
    await rig.service.flush();
    await until(() => rig.service.status().problem !== null);
    expect(rig.service.status().problem).toMatchObject(expected);
  });

  it('says that the program is not there', async () => {
    const rig = await start();
    rig.chain.isProgramThere = false;
    await rig.service.add([receiptLeaf(1)]);
    await rig.service.flush();
    await until(() => rig.service.status().problem !== null);
    expect(rig.service.status().problem?.code).toBe('ANCHORING_NO_PROGRAM');
    rig.chain.isProgramThere = true;
    await rig.service.flush();
    await until(() => rig.service.status().anchored === 1);
  });
});
