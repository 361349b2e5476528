import { Keypair, PublicKey, Transaction, type TransactionInstruction } from '@solana/web3.js';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { AnchorLog, computeLogAddress } from '../../../../src/chain/anchoring/anchor-log.ts';
import type { AnchoringOptions } from '../../../../src/chain/anchoring/options.ts';
import { SolanaAnchorReader } from '../../../../src/chain/anchoring/solana-anchor-reader.ts';
import {
  encodeAppend,
  encodeCloseLog,
  encodeSetDelegate,
  encodeVerifyRecent,
} from '../../../../src/chain/generated/proof-anchor.ts';
import type { ChainInstruction } from '../../../../src/chain/interface.ts';
import { SolanaAddress } from '../../../../src/domain/chain.ts';
import {
  type AnchoringNode,
  PROOF_ANCHOR,
  readProofAnchor,
  startAnchoringNode,
} from '../../../support/anchoring-node.ts';
import { NEVER, receiptLeaf, receiptLeaves } from '../../../support/anchoring-rig.ts';
import { startLocalnet, type TestLocalnet } from '../../../support/localnet.ts';
import { MemoryDatabase } from '../../../support/memory-database.ts';

const wallet = Keypair.fromSeed(new Uint8Array(32).fill(3));
const owner = SolanaAddress(wallet.publicKey.toBase58());
const LOG = computeLogAddress(PROOF_ANCHOR, owner);

let net: TestLocalnet;
const nodes: AnchoringNode[] = [];

beforeEach(async () => {
  net = await startLocalnet({ programs: [await readProofAnchor()] });
});
afterEach(async () => {
  for (const node of nodes.splice(0)) await node[Symbol.asyncDispose]();
  await net[Symbol.asyncDispose]();
});

async function start(
  database = new MemoryDatabase(),
  anchoring: Partial<AnchoringOptions> = {},
): Promise<AnchoringNode> {
  const node = await startAnchoringNode(database, {
    rpcUrl: net.url,
    genesis: net.status.genesis,
    seed: new Uint8Array(32).fill(3),
    anchoring,
  });
  nodes.push(node);
  return node;
}

async function fund(lamports = 1_000_000_000): Promise<void> {
  await net.airdrop(wallet.publicKey, lamports);
}

function toWeb3({ program, accounts, data }: ChainInstruction): TransactionInstruction {
  return {
    programId: new PublicKey(program),
    keys: accounts.map(({ address, isSigner, isWritable }) => ({
      pubkey: new PublicKey(address),
      isSigner,
      isWritable,
    })),
    data: Buffer.from(data),
  };
}

/**
 * Sent by somebody who is not the node. web3.js' own confirmation leaves requests behind, which fail unheard when the
 * chain is gone.
 */
async function send(instruction: ChainInstruction, signer = wallet): Promise<void> {
  const { connection } = net;
  const transaction = new Transaction({ ...(await connection.getLatestBlockhash()), feePayer: signer.publicKey });
  transaction.add(toWeb3(instruction)).sign(signer);
  const signature = await connection.sendRawTransaction(transaction.serialize());
  const readStatus = async () => (await connection.getSignatureStatus(signature)).value;
  await expect
    .poll(async () => (await readStatus())?.confirmationStatus, { timeout: 10_000 })
    .toMatch(/confirmed|finalized/);
  const failure = (await readStatus())?.err ?? null;
  if (failure !== null) throw new Error(`it failed: ${JSON.stringify(failure)}`);
}

async function anchor({ service }: AnchoringNode) {
  const view = await service.flush();
  return await service.wait(view?.batch ?? -1, { signal: AbortSignal.timeout(20_000) });
}

async function readLog({ reader }: AnchoringNode) {
  const log = await new AnchorLog({ reader }, { program: PROOF_ANCHOR, owner, log: LOG }).read({
    signal: NEVER,
    commitment: 'confirmed',
  });
  if (log === undefined) throw new Error('there is no log');
  return log;
}

function createAnchorReader({ reader }: AnchoringNode): SolanaAnchorReader {
  return new SolanaAnchorReader({ openEndpoints: () => [{ url: net.url, reader }] });
}

describe('anchoring on a real local chain', () => {
  it('pins 10,000 receipts with one transaction, and the program itself finds one of them', async () => {
    await fund();
    const node = await start();
    await node.service.add(receiptLeaves(10_000));
    const view = await node.service.wait(0, { signal: AbortSignal.timeout(20_000) });
    expect(view).toMatchObject({ state: 'finalized', receipts: 10_000, entry: 0, log: LOG });
    expect((await readLog(node)).size).toBe(1);
    const proof = await node.service.proof(receiptLeaf(7_777).digest);
    if (proof === undefined) throw new Error('it is not anchored');
    const reading = await createAnchorReader(node).readAnchor(proof, { signal: NEVER });
    expect(reading.checks.map(({ verdict }) => verdict)).toEqual(Array(5).fill({ kind: 'valid' }));
    expect(reading.blockTimeMs).toBeGreaterThan(0);
    await send(
      encodeVerifyRecent(
        PROOF_ANCHOR,
        { log: LOG },
        {
          generation: BigInt(proof.generation),
          entry: BigInt(proof.entry),
          kind: 1,
          digest: receiptLeaf(7_777).digest,
          leafIndex: BigInt(proof.leafIndex),
          path: proof.path,
        },
      ),
    );
  });

  it('goes on after another writer, and both entries are in the log', async () => {
    await fund();
    const node = await start();
    await node.service.add([receiptLeaf(1)]);
    await anchor(node);
    const delegate = await net.fund();
    await send(
      encodeSetDelegate(PROOF_ANCHOR, { owner, log: LOG }, { delegate: SolanaAddress(delegate.publicKey.toBase58()) }),
    );
    const racing = race(node, delegate);
    await node.service.add([receiptLeaf(2)]);
    const view = await anchor(node);
    await racing;
    const log = await readLog(node);
    expect(log.size).toBe(12);
    expect(
      log.recent.filter(({ root }) => Buffer.compare(root, view.batchRoot ?? new Uint8Array()) === 0),
    ).toHaveLength(1);
    expect(log.recent[view.entry ?? -1]?.root).toEqual(view.batchRoot);
  });

  it('makes the log anew after it was closed; what was anchored before stays proven', async () => {
    await fund();
    const node = await start();
    await node.service.add([receiptLeaf(1)]);
    const first = await anchor(node);
    await send(
      encodeCloseLog(
        PROOF_ANCHOR,
        { owner, log: LOG, destination: owner },
        { generation: BigInt(first.generation ?? 0) },
      ),
    );
    await node.service.add([receiptLeaf(2)]);
    const second = await anchor(node);
    expect(second).toMatchObject({ state: 'finalized', entry: 0 });
    expect(second.generation).toBeGreaterThan(first.generation ?? Infinity);
    const reader = createAnchorReader(node);
    for (const each of [1, 2]) {
      const proof = await node.service.proof(receiptLeaf(each).digest);
      if (proof === undefined) throw new Error('it is not anchored');
      const { checks } = await reader.readAnchor(proof, { signal: NEVER });
      expect(checks.every(({ verdict }) => verdict.kind === 'valid')).toBe(true);
      const forged = { ...proof, batchRoot: new Uint8Array(32) };
      const refused = await reader.readAnchor(forged, { signal: NEVER });
      expect(refused.checks.some(({ verdict }) => verdict.kind === 'invalid')).toBe(true);
    }
  });

  it('waits for funds, says so, and goes on once they are there', async () => {
    const node = await start();
    await node.service.add([receiptLeaf(1)]);
    await node.service.flush();
    await expect.poll(() => node.service.status().problem?.code, { timeout: 10_000 }).toBe('CHAIN_INSUFFICIENT_FUNDS');
    expect((await node.service.list({ limit: 1 }))[0]?.state).toBe('waiting');
    await fund();
    await node.service.wait(0, { signal: AbortSignal.timeout(20_000) });
    // The count follows once the batch is noted as done.
    await expect.poll(() => node.service.status(), { timeout: 10_000 }).toMatchObject({ anchored: 1, problem: null });
  });

  it('names the whole sum that the first anchor takes, which is enough', async () => {
    const node = await start();
    await node.service.add([receiptLeaf(1)]);
    await node.service.flush();
    const message = (): string => node.service.status().problem?.message ?? '';
    await expect.poll(message, { timeout: 10_000 }).toMatch(/has 0 lamports and needs \d+:/);
    const needs = Number(/needs (\d+)/.exec(message())?.[1]);
    // The first fee and one lamport less: making the log would leave too little.
    await fund(needs - 5_001);
    await expect.poll(message, { timeout: 10_000 }).toContain(`has ${needs - 5_001} lamports and needs ${needs}:`);
    await fund(5_001);
    await node.service.wait(0, { signal: AbortSignal.timeout(20_000) });
    expect(await node.reader.balance(node.wallet, { signal: NEVER, commitment: 'confirmed' })).toBe(890_880n);
  });

  it.each([
    ['SPL Token', 'TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA', 'ANCHORING_OTHER_PROGRAM'],
    ['SPL Token 2022', 'TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb', 'ANCHORING_OTHER_PROGRAM'],
    ['SPL Memo', 'MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr', 'ANCHORING_OTHER_PROGRAM'],
    ['the system program', '11111111111111111111111111111111', 'ANCHORING_NO_PROGRAM'],
    ['the program of budgets', 'ComputeBudget111111111111111111111111111111', 'ANCHORING_NO_PROGRAM'],
  ])('names %s where proof-anchor should be, and pays nothing', async (_name, address, code) => {
    await fund();
    const node = await start(new MemoryDatabase(), { program: SolanaAddress(address) });
    await node.service.add([receiptLeaf(1)]);
    await node.service.flush();
    await expect
      .poll(() => node.service.status().problem, { timeout: 10_000 })
      .toMatchObject({
        code,
        message: expect.stringMatching(new RegExp(`${address}.*chain.programs.proofAnchor`)),
      });
    expect(await node.reader.balance(node.wallet, { signal: NEVER, commitment: 'confirmed' })).toBe(1_000_000_000n);
  });

  it('takes up in another process what one left in flight', async () => {
    await fund();
    const database = new MemoryDatabase();
    const node = await start(database);
    await node.service.add(receiptLeaves(300));
    await node.service.flush();
    const copy = database.clone();
    await node[Symbol.asyncDispose]();
    nodes.splice(0);
    const next = await start(copy);
    await next.service.wait(0, { signal: AbortSignal.timeout(20_000) });
    expect((await readLog(next)).size).toBe(1);
  });
});

/** Ten appends by the delegate, as fast as they are confirmed. */
async function race(node: AnchoringNode, delegate: Keypair): Promise<void> {
  const authority = SolanaAddress(delegate.publicKey.toBase58());
  for (let done = 0; done < 10; ) {
    const { generation, size } = await readLog(node);
    const args = {
      generation: BigInt(generation),
      expectedSize: BigInt(size),
      batchRoot: new Uint8Array(32).fill(done + 1),
      batchSize: 1n,
    };
    try {
      await send(encodeAppend(PROOF_ANCHOR, { authority, log: LOG }, args), delegate);
      done += 1;
    } catch {
      // The node was first: the next reading tells.
    }
  }
}
