import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import type { BlobId, PeerKey } from '../../../src/domain/ids.ts';
import type { NetworkOptions } from '../../../src/network/options.ts';
import { type BlobHost, startBlobHost } from '../../support/blob-host.ts';
import { until } from '../../support/network.ts';
import { bytesOfLeaves, isSame } from '../../support/transfer-rig.ts';

const BYTES = bytesOfLeaves(9);
const started: BlobHost[] = [];
afterEach(async () => {
  await Promise.all(started.splice(0).map((host) => host[Symbol.asyncDispose]()));
});

async function start(options: Partial<NetworkOptions> = {}): Promise<BlobHost> {
  const host = await startBlobHost(options);
  started.push(host);
  return host;
}

/** A node that has the bytes and grants them to `reader`, which is connected to it. */
async function startSource(
  reader: BlobHost,
  options: Partial<NetworkOptions> = {},
): Promise<BlobHost & { blob: BlobId }> {
  const source = await start(options);
  const path = join(source.folder, 'file');
  await writeFile(path, BYTES);
  const { blob } = await source.store.putFile(path);
  source.grants.grant(reader.node.identity.peer, [blob]);
  await reader.node.network.connect(source.node.address());
  return { ...source, blob };
}

const peerOf = (host: BlobHost): PeerKey => host.node.identity.peer;

async function expectHere(host: BlobHost, blob: BlobId): Promise<void> {
  expect(isSame(await host.store.get(blob, BYTES.length), BYTES)).toBe(true);
}

describe('a transfer over libp2p', () => {
  it('takes a blob from three nodes to disk, over connections of their own', async () => {
    const reader = await start();
    const sources = [await startSource(reader), await startSource(reader), await startSource(reader)];
    const [{ blob }] = sources as [BlobHost & { blob: BlobId }];
    const fetched = await reader.transfers.fetchBlob({ blob, sizeBytes: BYTES.length, sources: sources.map(peerOf) });
    expect(fetched.bytesMoved).toBe(BYTES.length);
    await expectHere(reader, blob);
    expect(reader.node.network.status().connections).toBe(6);
  });

  it('goes over the one connection where there can be no second, also behind a pre-shared key', async () => {
    const preSharedKey = new Uint8Array(32).fill(7);
    const reader = await start({ preSharedKey });
    const { blob, ...source } = await startSource(reader, { preSharedKey });
    await reader.transfers.fetchBlob({ blob, sizeBytes: BYTES.length, sources: [peerOf(source)] });
    await expectHere(reader, blob);
    const hidden = await start({ preSharedKey, listen: [] });
    const path = join(hidden.folder, 'file');
    await writeFile(path, BYTES.subarray(1));
    const other = await hidden.store.putFile(path);
    hidden.grants.grant(peerOf(reader), [other.blob]);
    await hidden.node.network.connect(reader.node.address());
    await until(reader.node, () => reader.node.network.peers.get(peerOf(hidden))?.isConnected === true);
    await reader.transfers.fetchBlob({ ...other, sources: [peerOf(hidden)] });
    expect((await reader.store.stat(other.blob))?.sizeBytes).toBe(BYTES.length - 1);
  });

  it('goes on with another source when one dies', async () => {
    const reader = await start();
    const [dying, other] = [await startSource(reader), await startSource(reader)];
    let stopping: Promise<void> | undefined;
    await reader.transfers.fetchBlob(
      { blob: dying.blob, sizeBytes: BYTES.length, sources: [peerOf(dying), peerOf(other)] },
      {
        onProgress: ({ bytesMoved }) => {
          if (bytesMoved > 2 ** 20) stopping ??= dying.node.network.stop();
        },
      },
    );
    await stopping;
    await expectHere(reader, dying.blob);
  });

  it('finds who has a public blob by the DHT', async () => {
    const reader = await start();
    const { blob, ...source } = await startSource(reader);
    const third = await start();
    await third.node.network.connect(source.node.address());
    await until(source.node, () => source.node.network.status().dhtPeers >= 2, 10_000, 'the routing table');
    using _provided = source.node.network.content.provide(blob);
    const find = async (): Promise<PeerKey[]> => {
      const found: PeerKey[] = [];
      for await (const peer of third.node.network.content.findProviders(blob, { limit: 4 })) found.push(peer);
      return found;
    };
    await expect.poll(find, { timeout: 10_000 }).toEqual([peerOf(source)]);
  });
});
