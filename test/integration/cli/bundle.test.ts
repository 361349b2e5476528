import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CID } from 'multiformats/cid';
import { describe, expect, it } from 'vitest';
import { CarBundleExporter } from '../../../src/bundle/car-bundle-exporter.ts';
import type { AnchorSource } from '../../../src/bundle/interface.ts';
import { encodeBase58 } from '../../../src/domain/chain.ts';
import { areBytesEqual } from '../../../src/lib/bytes.ts';
import { SystemClock } from '../../../src/lib/clock.ts';
import { createMethodTable } from '../../../src/rpc/method-table.ts';
import { OWN_CHAIN } from '../../support/anchor-builder.ts';
import { BLOBS, type BuildOptions, buildBundle, packBundle, party } from '../../support/bundle-builder.ts';
import { createFakeModules, JOB, MemoryBlobs } from '../../support/fake-rpc-modules.ts';
import { createTemporaryFolder, startServer } from '../../support/rpc-harness.ts';
import { runCommandLine } from '../../support/run-cli.ts';

async function verify(content: Uint8Array | string, ...options: string[]) {
  await using folder = await createTemporaryFolder();
  await writeFile(join(folder.path, 'job.bundle'), content);
  return await runCommandLine(['bundle', 'verify', 'job.bundle', ...options], folder.path);
}

const pack = async (options: BuildOptions): Promise<Uint8Array> => packBundle((await buildBundle(options)).bundle);

describe('bundle verify', () => {
  it('prints statement, parties, assumptions, limits and what is not proven, and exits 0 if all is valid', async () => {
    const { exitCode, stdout, stderr } = await verify(await pack({ replicas: 3 }));
    expect(exitCode, stderr).toBe(0);
    expect(stdout).toMatch(/verdict +VALID/);
    expect(stdout).toMatch(/replicated: VALID\n +statement +3 of 3 replicas/);
    expect(stdout).toContain(party(3).peer);
    expect(stdout).toMatch(/assumes +not all of the providers/);
    expect(stdout).toMatch(/does not claim +that the program is correct/);
    expect(stdout).toContain('not proven by this file');
  });

  it('exits 1 and names the check if something is invalid', async () => {
    const { exitCode, stdout } = await verify(await pack({ lies: { signers: { receipt: 4 } } }));
    expect(exitCode).toBe(1);
    expect(stdout).toContain('attempt 1: receipt signature: INVALID (WRONG_SIGNER)');
  });

  it('exits 1 if a byte of an output was changed', async () => {
    const bytes = await pack({});
    const changed = bytes.map((byte, at) => (at === bytes.length - 1 ? byte ^ 1 : byte));
    const { exitCode, stdout } = await verify(changed, '--json');
    expect(exitCode).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({ verdict: 'invalid', error: { code: 'BUNDLE_HASH_MISMATCH' } });
  });

  it('exits 3 and names what is missing if something is unchecked', async () => {
    const { exitCode, stdout } = await verify(await pack({ content: 'evidence' }));
    expect(exitCode).toBe(3);
    expect(stdout).toMatch(/outputs in the file: UNCHECKED, missing: output \/model\.bin/);
  });

  it.each([
    ['text', 'not a bundle'],
    ['nothing', ''],
    ['JSON that is no envelope', '{"a": 1}'],
  ])('exits 2 for %s', async (_, content) => {
    const { exitCode, stderr } = await verify(content);
    expect(exitCode).toBe(2);
    expect(stderr).toContain('BUNDLE_NOT_A_BUNDLE');
  });

  it('exits 2 for a file that is cut, and for one that is not there', async () => {
    expect((await verify((await pack({})).slice(0, 300))).exitCode).toBe(2);
    await using folder = await createTemporaryFolder();
    const { exitCode, stderr } = await runCommandLine(['bundle', 'verify', 'absent'], folder.path);
    expect(exitCode).toBe(2);
    expect(stderr).toContain('there is no such file');
  });

  it('gives every check with --json', async () => {
    const { stdout } = await verify(await pack({ replicas: 2 }), '--json');
    const checks = expect.arrayContaining([{ name: 'attempt 2: commitment opens', verdict: { kind: 'valid' } }]);
    expect(JSON.parse(stdout)).toMatchObject({
      verdict: 'valid',
      kind: 'bundle',
      assurances: [{ assurance: 'signed' }, { assurance: 'replicated', checks }],
    });
  });

  it('takes --signer for in-toto exports only', async () => {
    const { exitCode } = await verify(await pack({}), '--signer', party(0).peer);
    expect(exitCode).toBe(2);
  });
});

describe('bundle show', () => {
  it('lists attempts and files', async () => {
    await using folder = await createTemporaryFolder();
    const lies: BuildOptions['lies'] = { signers: { receipt: 4 } };
    await writeFile(join(folder.path, 'job.bundle'), await pack({ replicas: 3, withheld: [2], lies }));
    const { exitCode, stdout } = await runCommandLine(['bundle', 'show', 'job.bundle'], folder.path);
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/output \/model\.bin +7 B +yes/);
    expect(stdout).toMatch(/input \/data\.csv +6 B +no/);
    expect(stdout).toContain('replica 3');
  });

  it('lists anchors as tools of Solana write them, and none where there is none', async () => {
    await using folder = await createTemporaryFolder();
    const { bundle } = await buildBundle({ replicas: 2, anchors: [{}, { owner: 50, genesis: OWN_CHAIN }] });
    await writeFile(join(folder.path, 'job.bundle'), await packBundle(bundle));
    const { stdout } = await runCommandLine(['bundle', 'show', 'job.bundle'], folder.path);
    const [anchor] = bundle.anchors ?? [];
    if (anchor === undefined) throw new TypeError('there is an anchor');
    const shown = `${anchor.receipt} +1 of 11 +${encodeBase58(anchor.owner)} +mainnet-beta +5004 +${encodeBase58(anchor.transaction)}`;
    expect(stdout).toMatch(new RegExp(shown));
    expect(stdout).toContain(`genesis ${encodeBase58(OWN_CHAIN)}`);
    const json = await runCommandLine(['bundle', 'show', 'job.bundle', '--json'], folder.path);
    expect(JSON.parse(json.stdout)).toMatchObject({
      anchors: [{ receipt: anchor.receipt, owner: encodeBase58(anchor.owner), cluster: 'mainnet-beta' }, {}, {}, {}],
    });
    await writeFile(join(folder.path, 'job.bundle'), await pack({}));
    expect((await runCommandLine(['bundle', 'show', 'job.bundle'], folder.path)).stdout).not.toContain('ANCHORED');
  });

  it('refuses to wait no time for an endpoint', async () => {
    const { exitCode, stderr } = await verify(await pack({}), '--rpc-url', 'http://127.0.0.1:1', '--timeout', '0s');
    expect(exitCode).toBe(2);
    expect(stderr).toMatch(/--timeout 0: [^]*30s/);
  });

  it('exits 1 for a file that was changed, as verify does', async () => {
    await using folder = await createTemporaryFolder();
    const bytes = (await pack({})).slice();
    bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
    await writeFile(join(folder.path, 'job.bundle'), bytes);
    const { exitCode, stderr } = await runCommandLine(['bundle', 'show', 'job.bundle'], folder.path);
    expect(stderr).toContain('BUNDLE_HASH_MISMATCH');
    expect(exitCode).toBe(1);
  });
});

describe('bundle export', () => {
  async function withDaemon(
    run: (socket: string, folder: string) => Promise<void>,
    anchors?: AnchorSource,
  ): Promise<void> {
    const { job, bundle } = await buildBundle({ replicas: 3 });
    const blobs = new MemoryBlobs();
    for (const [blob, bytes] of BLOBS) blobs.blobs.set(blob, bytes);
    const fakes = createFakeModules();
    const modules = createFakeModules({
      bundles: new CarBundleExporter({
        blobs,
        identity: party(0),
        clock: new SystemClock(),
        ...(anchors === undefined ? {} : { anchors }),
      }),
      requester: { ...fakes.requester, evidence: async () => ({ ...bundle, job }) },
    });
    await using server = await startServer(createMethodTable(modules, { version: '0' }));
    await using folder = await createTemporaryFolder();
    await run(server.path, folder.path);
  }

  it('writes a bundle that verifies', async () => {
    await withDaemon(async (socket, folder) => {
      const exported = await runCommandLine(
        ['bundle', 'export', JOB, '--output', 'job.bundle', '--content', 'everything', '--socket', socket, '--json'],
        folder,
      );
      expect(exported.exitCode, exported.stderr).toBe(0);
      expect(JSON.parse(exported.stdout)).toMatchObject({ path: join(folder, 'job.bundle'), verdict: 'valid' });
      expect((await runCommandLine(['bundle', 'verify', 'job.bundle'], folder)).exitCode).toBe(0);
    });
  });

  it('writes an in-toto statement that verifies under the key of the node, and not when changed', async () => {
    await withDaemon(async (socket, folder) => {
      const argv = ['bundle', 'export', JOB, '--format', 'in-toto', '--socket', socket];
      expect((await runCommandLine(argv, folder)).exitCode).toBe(0);
      const name = `${JOB}.intoto.json`;
      const verified = await runCommandLine(['bundle', 'verify', name, '--signer', party(0).peer], folder);
      expect(verified.exitCode, verified.stderr).toBe(0);
      expect(verified.stdout).toContain('/model.bin  sha256:');
      expect(verified.stdout).toContain('replicated:');
      expect(verified.stdout).toContain('not the evidence');
      const other = await runCommandLine(['bundle', 'verify', name, '--signer', party(1).peer, '--json'], folder);
      expect(other.exitCode).toBe(1);
      const text = await readFile(join(folder, name), 'utf8');
      await writeFile(join(folder, name), text.replace(/"payload": "(.)/, '"payload": "f'));
      expect((await runCommandLine(['bundle', 'verify', name], folder)).exitCode).not.toBe(0);
    });
  });

  it('says how many receipts are anchored and in which batches others wait, and waits for them if asked', async () => {
    const [first] = (await buildBundle({ replicas: 3, anchors: [{}] })).bundle.anchors ?? [];
    if (first === undefined) throw new TypeError('there is an anchor');
    const isFirst = (digest: Uint8Array) => areBytesEqual(CID.parse(first.receipt).multihash.digest, digest);
    const anchors: AnchorSource = {
      proof: async (digest) => (isFirst(digest) ? first : undefined),
      batchOf: async () => 12,
    };
    await withDaemon(async (socket, folder) => {
      const argv = ['bundle', 'export', JOB, '--output', 'job.bundle', '--socket', socket];
      const exported = await runCommandLine([...argv, '--wait-for-anchor', '20ms'], folder);
      expect(exported.exitCode, exported.stderr).toBe(0);
      expect(exported.stdout).toContain('anchored: 1 of 3 receipts');
      expect(exported.stdout).toContain('others wait in batch 12');
      expect(exported.stdout).toContain('bundle verify');
      expect(exported.stdout).toContain('--rpc-url URL');
      const verified = await runCommandLine(['bundle', 'verify', 'job.bundle'], folder);
      expect(verified.exitCode).toBe(3);
      expect(verified.stdout).toContain('anchored: UNCHECKED');
      expect((await runCommandLine([...argv, '--wait-for-anchor', 'long'], folder)).exitCode).toBe(2);
    }, anchors);
  });

  it('says in which batch receipts wait of which none is anchored', async () => {
    const anchors: AnchorSource = { proof: async () => undefined, batchOf: async () => 12 };
    await withDaemon(async (socket, folder) => {
      const argv = ['bundle', 'export', JOB, '--output', 'job.bundle', '--socket', socket];
      const { stdout } = await runCommandLine(argv, folder);
      expect(stdout).toContain('anchored: 0 of 3 receipts\nwaiting in batch 12');
    }, anchors);
  });

  it('does not wait for anchors where there will be none', async () => {
    await withDaemon(async (socket, folder) => {
      const argv = ['bundle', 'export', JOB, '--wait-for-anchor', '1s', '--socket', socket];
      const { exitCode, stderr } = await runCommandLine(argv, folder);
      expect(exitCode).not.toBe(0);
      expect(stderr).toContain('BUNDLE_NO_ANCHORING');
    });
  });

  it('exits 4 without a daemon', async () => {
    await using folder = await createTemporaryFolder();
    const { exitCode } = await runCommandLine(['bundle', 'export', JOB], folder.path);
    expect(exitCode).toBe(4);
  });
});
