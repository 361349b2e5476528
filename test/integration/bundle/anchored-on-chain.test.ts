import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Keypair } from '@solana/web3.js';
import { base58btc } from 'multiformats/bases/base58';
import { CID } from 'multiformats/cid';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CarBundleExporter } from '../../../src/bundle/car-bundle-exporter.ts';
import { readBlocks } from '../../../src/bundle/read-blocks.ts';
import { assessEvidence } from '../../../src/bundle/verify.ts';
import type { Anchor, AnchorLeaf } from '../../../src/domain/anchor.ts';
import type { Bundle } from '../../../src/domain/bundle.ts';
import { encodeBase58 } from '../../../src/domain/chain.ts';
import { SystemClock } from '../../../src/lib/clock.ts';
import { type AnchoringNode, readProofAnchor, startAnchoringNode } from '../../support/anchoring-node.ts';
import { BLOBS, type BuiltBundle, buildBundle, packBundle, party } from '../../support/bundle-builder.ts';
import { MemoryBlobs } from '../../support/fake-rpc-modules.ts';
import { startLocalnet, type TestLocalnet } from '../../support/localnet.ts';
import { MemoryDatabase } from '../../support/memory-database.ts';
import { type CliRun, runCommandLine } from '../../support/run-cli.ts';
import { startTamperingEndpoint, type Tampering } from '../../support/tampering-endpoint.ts';

const SEED = new Uint8Array(32).fill(3);
const OTHER_LEAVES = 500;
const MAIN = fileURLToPath(new URL('../../../src/main.ts', import.meta.url));

let net: TestLocalnet;
let node: AnchoringNode;
let folder: string;
let built: BuiltBundle;
let bundle: Bundle;

const pathOf = (name: string): string => join(folder, name);

/** Exports as the daemon does, while the receipts' batch is on its way to the chain. */
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fogproof-anchored-'));
  net = await startLocalnet({ programs: [await readProofAnchor()] });
  await net.airdrop(Keypair.fromSeed(SEED).publicKey, 1_000_000_000);
  node = await startAnchoringNode(new MemoryDatabase(), { rpcUrl: net.url, genesis: net.status.genesis, seed: SEED });
  built = await buildBundle({ replicas: 3 });
  const { receipts } = await assessEvidence(built.bundle);
  const leaves: AnchorLeaf[] = [
    ...receipts.map(({ id }): AnchorLeaf => ({ kind: 'receipt', digest: CID.parse(id).multihash.digest })),
    ...Array.from({ length: OTHER_LEAVES }, (_, index): AnchorLeaf => {
      const digest = new Uint8Array(32);
      new DataView(digest.buffer).setUint32(0, index);
      return { kind: 'checkpoint', digest };
    }),
  ];
  await node.service.add(leaves);
  const exporting = exportBundle();
  await node.service.flush();
  expect(await exporting).toMatchObject({ receipts: 3, anchored: 3, waitingInBatches: [] });
  const { batch } = (await node.service.list({ limit: 1 }))[0] ?? { batch: -1 };
  await node.service.wait(batch, { signal: AbortSignal.timeout(20_000) });
  bundle = (await readBlocks(new Uint8Array(await readFile(pathOf('job.bundle'))))).bundle;
}, 60_000);
afterAll(async () => {
  await node[Symbol.asyncDispose]();
  await net[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

async function exportBundle() {
  const blobs = new MemoryBlobs();
  for (const [blob, bytes] of BLOBS) blobs.blobs.set(blob, bytes);
  const exporter = new CarBundleExporter({
    blobs,
    identity: party(0),
    clock: new SystemClock(),
    anchors: node.service,
  });
  const request = {
    path: pathOf('job.bundle'),
    format: 'bundle',
    content: 'outputs',
    waitForAnchorMs: 20_000,
  } as const;
  return await exporter.exportFile({ ...built.bundle, job: built.job }, request);
}

async function verify(...options: string[]): Promise<CliRun> {
  return await runCommandLine(['bundle', 'verify', 'job.bundle', ...options], folder);
}

/** The text of a report as one line: where it is wrapped does not matter. */
const words = ({ stdout }: CliRun): string => stdout.replaceAll(/\s+/g, ' ');

describe('a bundle of a job whose receipts are anchored', () => {
  it('is unchecked offline, and says what completes it', async () => {
    const run = await verify();
    expect(run.exitCode).toBe(3);
    expect(words(run)).toContain('anchored: UNCHECKED');
    expect(words(run)).toContain('missing: a Solana RPC endpoint: fogproof bundle verify FILE --rpc-url URL');
  });

  it('is valid with an endpoint of the chain, which nobody takes for a public one', async () => {
    const run = await verify('--rpc-url', net.url);
    expect(run.exitCode, run.stdout).toBe(0);
    const text = words(run);
    expect(text).toContain('anchored: VALID');
    expect(text).toContain(`of ${OTHER_LEAVES + 3} leaves: receipt`);
    expect(text).toContain(`log of wallet ${node.wallet}`);
    expect(text).toContain(
      `genesis ${net.status.genesis}, which is no public Solana cluster: whoever runs it can write`,
    );
    expect(text).toContain(`Asked: ${net.url}`);
    expect(text).toContain('nothing here is anchored in a public chain');
  });

  it('gives each single check with --json', async () => {
    const { stdout } = await verify('--rpc-url', net.url, '--json');
    const { verdict, assurances } = JSON.parse(stdout) as {
      verdict: string;
      assurances: { assurance: string; checks: { name: string }[] }[];
    };
    expect(verdict).toBe('valid');
    const names = assurances.find(({ assurance }) => assurance === 'anchored')?.checks.map(({ name }) => name) ?? [];
    expect(names).toContain('anchor 3: inclusion in the batch');
    expect(names.filter((name) => /^anchor 1: .*appended this root as entry 0/.test(name))).toHaveLength(1);
  });

  it('asks one endpoint that is named twice once', async () => {
    await using second = await startTamperingEndpoint(net.url, (_, result) => result);
    const run = await verify('--rpc-url', second.url, '--rpc-url', `${second.url}/`);
    expect(run.exitCode, run.stdout).toBe(0);
    expect(words(run)).toContain(`Asked: ${second.url}.`);
    expect(second.asked.filter((method) => method === 'getTransaction')).toHaveLength(1);
  });

  it('is valid with two endpoints that agree', async () => {
    await using second = await startTamperingEndpoint(net.url, (_, result) => result);
    const run = await verify('--rpc-url', net.url, '--rpc-url', second.url);
    expect(run.exitCode, run.stdout).toBe(0);
    expect(words(run)).toContain(second.url);
    expect(second.asked).toContain('getTransaction');
  });
});

/** A change of a field of what an endpoint tells of the transaction. */
const alterTransaction =
  (change: (transaction: Record<string, unknown>) => unknown): Tampering =>
  (method, result) =>
    method === 'getTransaction' && result !== null ? change(result as Record<string, unknown>) : result;

interface ToldInstruction {
  readonly data: string;
}

function withInstructions(
  told: Record<string, unknown>,
  change: (instructions: readonly ToldInstruction[]) => readonly ToldInstruction[],
): unknown {
  const transaction = told['transaction'] as { message: { instructions: readonly ToldInstruction[] } };
  const message = { ...transaction.message, instructions: change(transaction.message.instructions) };
  return { ...told, transaction: { ...transaction, message } };
}

/** Bytes of the discriminator, the generation and the size that stand before the root in `append`. */
const ROOT_OFFSET = 24;
const APPEND_BYTES = 64;

function writeOtherRoot(told: Record<string, unknown>): unknown {
  return withInstructions(told, (instructions) =>
    instructions.map((instruction) => {
      const data = base58btc.baseDecode(instruction.data);
      if (data.length !== APPEND_BYTES) return instruction;
      return { ...instruction, data: encodeBase58(data.with(ROOT_OFFSET, (data[ROOT_OFFSET] ?? 0) ^ 1)) };
    }),
  );
}

/** It knows neither the transaction nor the log. */
const hide: Tampering = (method, result) => {
  if (method === 'getTransaction') return null;
  if (method !== 'getAccountInfo') return result;
  const { context, value } = result as { context: unknown; value: { executable: boolean } | null };
  return { context, value: value?.executable === true ? value : null };
};

const contradictions: readonly [string, Tampering][] = [
  ['another slot', alterTransaction((told) => ({ ...told, slot: Number(told['slot']) + 1 }))],
  [
    'a transaction that failed',
    alterTransaction((told) => ({
      ...told,
      meta: { ...(told['meta'] as object), err: { InstructionError: [0, { Custom: 1 }] } },
    })),
  ],
];

/** The wallet signed the transaction: what is in it cannot be made up, so that nothing is believed of such an answer. */
const forgeries: readonly [string, Tampering][] = [
  ['another root', alterTransaction(writeOtherRoot)],
  ['nothing in it', alterTransaction((told) => withInstructions(told, () => []))],
];

describe('an endpoint that lies', () => {
  it.each(contradictions)('by %s makes it invalid, alone and beside an honest one', async (_, tamper) => {
    await using liar = await startTamperingEndpoint(net.url, tamper);
    for (const urls of [[liar.url], [net.url, liar.url]]) {
      const run = await verify(...urls.flatMap((url) => ['--rpc-url', url]));
      expect(run.exitCode, run.stdout).toBe(1);
      expect(words(run)).toContain('anchored: INVALID');
      expect(words(run)).toContain(`${liar.url} says`);
    }
  });

  it.each(forgeries)('by a forged transaction with %s is not believed', async (_, tamper) => {
    await using liar = await startTamperingEndpoint(net.url, tamper);
    for (const urls of [[liar.url], [net.url, liar.url]]) {
      const run = await verify(...urls.flatMap((url) => ['--rpc-url', url]));
      expect(run.exitCode, run.stdout).toBe(3);
      expect(words(run)).toContain('anchored: UNCHECKED');
    }
  });

  it('by hiding what is there makes it unchecked, even beside an honest one', async () => {
    await using liar = await startTamperingEndpoint(net.url, hide);
    for (const urls of [[liar.url], [net.url, liar.url]]) {
      const run = await verify(...urls.flatMap((url) => ['--rpc-url', url]));
      expect(run.exitCode, run.stdout).toBe(3);
      expect(words(run)).toContain('anchored: UNCHECKED');
    }
  });
});

describe('an endpoint that does not tell', () => {
  it('leaves it unchecked where nobody listens, even beside an honest one', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    await new Promise((resolve) => server.close(resolve));
    for (const urls of [[url], [net.url, url]]) {
      const run = await verify(...urls.flatMap((each) => ['--rpc-url', each]));
      expect(run.exitCode, run.stdout).toBe(3);
      expect(words(run)).toContain(url);
    }
  });

  it('leaves it unchecked where it stalls, after the time that was given', async () => {
    await using stalling = await startTamperingEndpoint(net.url, () => undefined);
    const startedAtMs = performance.now();
    const run = await verify('--rpc-url', stalling.url, '--timeout', '400ms');
    expect(run.exitCode, run.stdout).toBe(3);
    expect(performance.now() - startedAtMs).toBeLessThan(5_000);
  });

  it('leaves it unchecked where nobody listens, in a process that nothing else holds open', async () => {
    const gone = await startTamperingEndpoint(net.url, (_request, answer) => answer);
    await gone[Symbol.asyncDispose]();
    const argv = [MAIN, 'bundle', 'verify', pathOf('job.bundle'), '--rpc-url', gone.url];
    const child = spawn(process.execPath, argv, { env: { PATH: process.env['PATH'], HOME: folder } });
    const output: Buffer[] = [];
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => output.push(chunk));
    const [exitCode]: unknown[] = await once(child, 'close');
    expect(exitCode, Buffer.concat(output).toString()).toBe(3);
  });

  it('leaves it unchecked where it answers with garbage', async () => {
    await using confused = await startTamperingEndpoint(net.url, () => ({ nonsense: [1, 2, 3] }));
    expect((await verify('--rpc-url', confused.url)).exitCode).toBe(3);
  });

  it('does not show credentials that are in its address', async () => {
    const secret = 'k3yOfACustomer0123456789';
    const run = await verify('--rpc-url', `${net.url}/v2/${secret}?token=${secret}`);
    expect(`${run.stdout}${run.stderr}`).not.toContain(secret);
  });
});

describe('an anchor that was changed in the file', () => {
  const flip = (bytes: Uint8Array): Uint8Array => bytes.with(0, (bytes[0] ?? 0) ^ 1);
  const lies: readonly [string, (anchor: Anchor) => Anchor][] = [
    ['generation', (anchor) => ({ ...anchor, generation: anchor.generation - 1 })],
    ['entry', (anchor) => ({ ...anchor, entry: anchor.entry + 1 })],
    ['slot', (anchor) => ({ ...anchor, slot: anchor.slot + 1 })],
    ['batchSize', (anchor) => ({ ...anchor, batchSize: anchor.batchSize + 1 })],
    ['batchRoot', (anchor) => ({ ...anchor, batchRoot: flip(anchor.batchRoot) })],
    ['owner', (anchor) => ({ ...anchor, owner: flip(anchor.owner) })],
  ];

  it.each(lies)('in its %s is invalid', async (field, lie) => {
    const changed = { ...bundle, anchors: (bundle.anchors ?? []).map(lie) };
    await writeFile(pathOf('changed.bundle'), await packBundle(changed));
    const run = await runCommandLine(['bundle', 'verify', 'changed.bundle', '--rpc-url', net.url], folder);
    expect(run.exitCode, field).toBe(1);
    expect(words(run)).toContain('anchored: INVALID');
  });

  it('to a transaction that is not there is invalid, and the one that is there is named', async () => {
    const anchors = (bundle.anchors ?? []).map((anchor) => ({ ...anchor, transaction: flip(anchor.transaction) }));
    await writeFile(pathOf('changed.bundle'), await packBundle({ ...bundle, anchors }));
    const run = await runCommandLine(['bundle', 'verify', 'changed.bundle', '--rpc-url', net.url], folder);
    expect(run.exitCode).toBe(1);
    const [real = new Uint8Array()] = (bundle.anchors ?? []).map(({ transaction }) => transaction);
    expect(words(run)).toContain(`entry 0 was written by transaction ${encodeBase58(real)}`);
  });
});

describe('options of bundle verify', () => {
  it.each([
    ['--rpc-url', 'ftp://127.0.0.1'],
    ['--rpc-url', 'nonsense'],
    ['--timeout', '5s'],
    ['--rpc-url', 'http://127.0.0.1:1', '--timeout', 'soon'],
    Array.from({ length: 9 }, (_, index) => ['--rpc-url', `http://127.0.0.1:${index + 1}`]).flat(),
  ])('refuse %s %s', async (...options) => {
    expect((await verify(...options)).exitCode).toBe(2);
  });

  it('say that nobody was asked where the file holds no anchors', async () => {
    await writeFile(pathOf('plain.bundle'), await packBundle((await buildBundle({})).bundle));
    const run = await runCommandLine(['bundle', 'verify', 'plain.bundle', '--rpc-url', net.url], folder);
    expect(run.exitCode).toBe(0);
    expect(run.stderr).toContain('no endpoint was asked');
  });
});
