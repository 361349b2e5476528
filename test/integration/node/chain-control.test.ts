import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { InclusionCheck } from '../../../src/chain/anchoring/inclusion-check.ts';
import { KeypairSigner } from '../../../src/chain/signers/keypair-signer.ts';
import { Lamports } from '../../../src/domain/chain.ts';
import { SystemRandom } from '../../../src/lib/random.ts';
import { NoChain, NodeChain } from '../../../src/node/chain-control.ts';
import { readProofAnchor, startAnchoringNode } from '../../support/anchoring-node.ts';
import { NEVER, receiptLeaf } from '../../support/anchoring-rig.ts';
import { startLocalnet, type TestLocalnet } from '../../support/localnet.ts';
import { MemoryDatabase } from '../../support/memory-database.ts';

const SEED = new Uint8Array(32).fill(6);

let net: TestLocalnet;
let stack: AsyncDisposableStack;

beforeEach(async () => {
  stack = new AsyncDisposableStack();
  net = stack.use(await startLocalnet({ programs: [await readProofAnchor()] }));
});
afterEach(() => stack.disposeAsync());

async function start() {
  const database = new MemoryDatabase();
  const { genesis } = net.status;
  const node = stack.use(await startAnchoringNode(database, { rpcUrl: net.url, genesis, seed: SEED }));
  const { reader, sender, service: anchoring } = node;
  const signer = new KeypairSigner({ seed: SEED, description: 'of a test' });
  const inclusion = new InclusionCheck({ anchoring, reader, sender, database, random: new SystemRandom() });
  let settled = 0;
  const outbox = {
    settle: async (): Promise<void> => {
      settled += 1;
    },
  };
  return {
    control: new NodeChain({ reader, signer, anchoring, inclusion, outbox }),
    anchoring,
    signer,
    settled: () => settled,
  };
}

describe('the chain of a daemon', () => {
  it('shows an empty wallet, fills it from the faucet, and pays for an anchor', async () => {
    const { control, anchoring, signer, settled } = await start();
    expect(await control.wallet()).toMatchObject({ address: signer.address, lamports: 0n, signer: 'of a test' });
    // Less than the chain keeps an account for: the faucet refuses, and the chain is there all the same.
    await expect(control.airdrop(Lamports(5_000n), { signal: NEVER })).rejects.toMatchObject({
      code: 'CHAIN_FAUCET_REFUSED',
      message: expect.stringContaining('InsufficientFundsForRent'),
    });
    expect(await control.describe()).toMatchObject({ endpoints: [{ state: 'ok', problem: null }] });
    const { signature, lamports } = await control.airdrop(Lamports(1_000_000_000n), { signal: NEVER });
    expect(lamports).toBe(1_000_000_000n);
    expect((await net.connection.getSignatureStatus(signature)).value?.err).toBeNull();
    expect(await control.flushAnchors({ signal: NEVER })).toBeNull();
    await anchoring.add([receiptLeaf(1), receiptLeaf(2)]);
    const view = await control.flushAnchors({ signal: NEVER });
    expect(view).toMatchObject({ state: 'finalized', receipts: 2, entry: 0 });
    // What jobs have left behind is handed over first.
    expect(settled()).toBe(2);
    const checks = await control.verifyAnchors([receiptLeaf(1).digest, receiptLeaf(2).digest], { signal: NEVER });
    expect(checks.map(({ entry, batchSize, against }) => ({ entry, batchSize, against }))).toEqual(
      Array(2).fill({ entry: 0, batchSize: 2, against: 'recent' }),
    );
    expect(new Set(checks.map(({ transaction }) => transaction)).size).toBe(2);
    expect(await control.listAnchors(10)).toEqual([view]);
  });

  it('tells what keeps an anchor instead of waiting for it', async () => {
    const { control, anchoring } = await start();
    await anchoring.add([receiptLeaf(1)]);
    await expect(control.flushAnchors({ signal: AbortSignal.timeout(20_000) })).rejects.toMatchObject({
      code: 'NODE_ANCHOR_WAITS',
      info: { batch: 0, problem: 'CHAIN_INSUFFICIENT_FUNDS' },
    });
    // The batch is sealed by now and still waits.
    await expect(control.flushAnchors({ signal: AbortSignal.timeout(20_000) })).rejects.toMatchObject({
      code: 'NODE_ANCHOR_WAITS',
    });
    await control.airdrop(Lamports(1_000_000_000n), { signal: NEVER });
    expect(await control.flushAnchors({ signal: NEVER })).toMatchObject({
      batch: 0,
      state: 'finalized',
      problem: null,
    });
    expect(await control.flushAnchors({ signal: NEVER })).toBeNull();
  });

  it('knows no balance while the chain is away, and gives up an airdrop when asked to', async () => {
    const { control } = await start();
    expect(await control.describe()).toMatchObject({ isReachable: true, wallet: { lamports: 0n } });
    await net.chain[Symbol.asyncDispose]();
    // What the endpoint is said to be like fits the balance that it did not tell.
    expect(await control.describe()).toMatchObject({
      isReachable: false,
      cluster: null,
      endpoints: [{ state: 'failing' }],
      wallet: { lamports: null, cluster: null },
    });
    expect(await control.wallet()).toMatchObject({ lamports: null });
    await expect(control.airdrop(Lamports(1n), { signal: AbortSignal.timeout(300) })).rejects.toThrow();
  });
});

describe('a network without a chain', () => {
  it('refuses each of its calls with what to do', async () => {
    const control = new NoChain({ network: 'lab' });
    const calls = [
      control.wallet(),
      control.airdrop(),
      control.listAnchors(),
      control.flushAnchors(),
      control.verifyAnchors(),
    ];
    for (const call of calls) {
      await expect(call).rejects.toMatchObject({ code: 'NODE_NO_CHAIN', hint: expect.stringContaining('--rpc-url') });
    }
  });
});
