import { appendFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Connection, PublicKey } from '@solana/web3.js';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { BundleVerification } from '../../src/bundle/interface.ts';
import { decodeAppended, decodeLog } from '../../src/chain/generated/proof-anchor.ts';
import type { AnchorView } from '../../src/chain/interface.ts';
import type { AnchorCheck } from '../../src/rpc/interface.ts';
import type { JsonForm } from '../../src/rpc/json-form.ts';
import { Mesh, type MeshNode } from '../support/mesh.ts';

type Flushed = { readonly anchor: JsonForm<AnchorView> | null };
type Listed = { readonly anchors: readonly JsonForm<AnchorView>[] };

describe('daemons on one local chain', () => {
  let mesh: Mesh;
  let requester: MeshNode;
  let provider: MeshNode;

  beforeEach(async () => {
    mesh = await Mesh.open({ hasChain: true }, AbortSignal.timeout(110_000));
    requester = await mesh.addNode('requester', ['--no-provide']);
    const actor = await mesh.createIdentity('ada');
    await appendFile(join(actor.home, 'config.yaml'), '\nchain: { anchor: { provided: true } }\n');
    provider = await mesh.startNode(actor);
    await mesh.untilProviders(requester, 1);
  });
  afterEach(() => mesh?.[Symbol.asyncDispose]());

  const flush = (node: MeshNode): Promise<Flushed> => mesh.expect<Flushed>(node, ['anchor', 'flush']);
  const airdrop = (node: MeshNode): Promise<unknown> => mesh.expect(node, ['wallet', 'airdrop']);

  async function runJob(name: string): Promise<string> {
    const file = await mesh.writeJob('hello', name, (text) => text);
    const job = await mesh.wait(requester, await mesh.submit(requester, file));
    expect(job.state).toBe('completed');
    return job.job;
  }

  /** Every root that was ever appended to the log of a node, by the chain's own history. */
  async function readAppended(log: string): Promise<string[]> {
    const connection = new Connection(mesh.chain.status.url, 'finalized');
    const signatures = await connection.getSignaturesForAddress(new PublicKey(log));
    const transactions = await Promise.all(
      signatures.map(({ signature }) =>
        connection.getTransaction(signature, { commitment: 'finalized', maxSupportedTransactionVersion: 0 }),
      ),
    );
    const logs = transactions.flatMap((transaction) => transaction?.meta?.logMessages ?? []);
    return logs.flatMap((line) => {
      const data = /^Program data: (.+)$/.exec(line)?.[1];
      return data === undefined
        ? []
        : [Buffer.from(decodeAppended(Buffer.from(data, 'base64')).batchRoot).toString('base64')];
    });
  }

  it('anchor what they received and what they provided, each in a log of its own, and anybody checks it', async () => {
    await Promise.all([airdrop(requester), airdrop(provider)]);
    const job = await runJob('anchored');
    const [ours, theirs] = await Promise.all([flush(requester), flush(provider)]);
    expect(ours.anchor).toMatchObject({ state: 'finalized', receipts: 1, entry: 0 });
    expect(theirs.anchor).toMatchObject({ state: 'finalized', receipts: 1, entry: 0 });
    // The same receipt gives the same root, in two logs.
    expect(theirs.anchor?.batchRoot).toBe(ours.anchor?.batchRoot);
    expect(theirs.anchor?.log).not.toBe(ours.anchor?.log);
    const { checks } = await mesh.expect<{ checks: JsonForm<AnchorCheck>[] }>(requester, ['anchor', 'verify', job]);
    expect(checks).toMatchObject([{ entry: 0, against: 'recent' }]);
    const bundle = mesh.stage.path('anchored.bundle');
    await mesh.expect(requester, ['bundle', 'export', job, '--output', bundle]);
    const stranger = mesh.stage.actor('stranger');
    const offline = await mesh.run(stranger, ['bundle', 'verify', bundle, '--json']);
    expect(offline.exitCode).toBe(3);
    const line = ['bundle', 'verify', bundle, '--rpc-url', mesh.chain.status.url];
    const verified = await mesh.expect<BundleVerification>(stranger, line);
    expect(verified.assurances.map(({ assurance, verdict }) => [assurance, verdict.kind])).toEqual([
      ['signed', 'valid'],
      ['anchored', 'valid'],
    ]);
    const other = await Mesh.open({ hasChain: true }, AbortSignal.timeout(60_000));
    await using _other = other;
    const wrong = await mesh.run(stranger, ['bundle', 'verify', bundle, '--json', '--rpc-url', other.chain.status.url]);
    expect(wrong.exitCode).toBe(3);
    expect(wrong.stdout).toContain(other.chain.status.genesis);
  });

  it('keep receipts while the wallet is empty, and say what to do', async () => {
    await runJob('poor');
    const refused = await mesh.run(requester, ['anchor', 'flush', '--json']);
    expect(refused.exitCode).not.toBe(0);
    expect(JSON.parse(refused.stderr)).toMatchObject({ error: { code: 'NODE_ANCHOR_WAITS' } });
    expect(refused.stderr).toContain('wallet');
    await airdrop(requester);
    await mesh.until('the batch went through by itself', 40_000, async () => {
      const { anchors } = await requester.client.call('anchor.list', { limit: 10 });
      return anchors.length === 1 && anchors[0]?.state === 'finalized';
    });
  });

  it('go on without the chain, and anchor once when it is back', async () => {
    await airdrop(requester);
    await runJob('before');
    const first = await flush(requester);
    const port = Number(new URL(mesh.chain.status.url).port);
    await mesh.killChain();
    await runJob('meanwhile');
    const refused = await mesh.run(requester, ['anchor', 'flush', '--json']);
    expect(JSON.parse(refused.stderr)).toMatchObject({ error: { code: 'NODE_ANCHOR_WAITS' } });
    const { chain } = await requester.client.call('node.status', {});
    expect(chain).toMatchObject({ isReachable: false, wallet: { lamports: null } });
    const again = await mesh.startChain(port);
    expect(again.status.genesis).toBe(chain?.expectedGenesis);
    await mesh.until('the second batch is final', 60_000, async () => {
      const { anchors } = await requester.client.call('anchor.list', { limit: 10 });
      return anchors.length === 2 && anchors.every(({ state }) => state === 'finalized');
    });
    const { anchors } = await mesh.expect<Listed>(requester, ['anchor', 'list']);
    expect(await readAppended(first.anchor?.log ?? '')).toEqual(anchors.map(({ batchRoot }) => batchRoot));
  });

  it('anchor once though they are killed while they anchor', async () => {
    await airdrop(requester);
    await runJob('first');
    const { anchor } = await flush(requester);
    for (const [index, delayMs] of [0, 60, 150].entries()) {
      await runJob(`killed-${index}`);
      const flushing = requester.client.call('anchor.flush', {}).catch(() => undefined);
      const { promise, resolve } = Promise.withResolvers<void>();
      setTimeout(resolve, delayMs);
      await promise;
      await mesh.kill(requester);
      await flushing;
      const [address = ''] = provider.status.network.listen;
      requester = await mesh.startNode(requester, ['--no-provide', '--bootstrap', address]);
      await mesh.untilProviders(requester, 1);
      await mesh.expect(requester, ['anchor', 'flush']);
      await mesh.until('all batches are final', 40_000, async () => {
        const { anchors } = await requester.client.call('anchor.list', { limit: 10 });
        return anchors.every(({ state }) => state === 'finalized');
      });
    }
    const { anchors } = await mesh.expect<Listed>(requester, ['anchor', 'list']);
    expect(anchors).toHaveLength(4);
    expect(await readAppended(anchor?.log ?? '')).toEqual(anchors.map(({ batchRoot }) => batchRoot));
    const connection = new Connection(mesh.chain.status.url, 'finalized');
    const account = await connection.getAccountInfo(new PublicKey(anchor?.log ?? ''));
    expect(decodeLog(account?.data ?? new Uint8Array()).size).toBe(4n);
  });
});
