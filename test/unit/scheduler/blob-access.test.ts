import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BlobId } from '../../../src/domain/ids.ts';
import { MAX_BLOB_CHUNK_BYTES } from '../../../src/domain/messages.ts';
import { computeRawCid } from '../../../src/lib/cid.ts';
import { BlobGrants, serveBlobs } from '../../../src/scheduler/blob-access.ts';
import { fetchBlob } from '../../../src/scheduler/blob-fetcher.ts';
import { TransportMesh } from '../../support/fake-transport.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { HeapBlobStore } from '../../support/provider-blobs.ts';
import { identityOf } from '../../support/requester-rig.ts';

async function pair() {
  const mesh = new TransportMesh(new ManualClock());
  const [server, client] = [(await identityOf(1)).peer, (await identityOf(2)).peer];
  const blobs = { server: new HeapBlobStore(), client: new HeapBlobStore() };
  const grants = new BlobGrants();
  serveBlobs(mesh.join(server), { blobs: blobs.server }, grants);
  const modules = { transport: mesh.join(client), blobs: blobs.client };
  return { mesh, server, client, blobs, grants, modules };
}

const bytesOf = (length: number): Uint8Array => Uint8Array.from({ length }, (_, index) => index % 251);

describe('blob grants', () => {
  it('are counted: readable until the last is disposed, and disposing twice is once', () => {
    const grants = new BlobGrants();
    const [peer, blob] = ['p' as never, 'b' as never];
    const first = grants.grant(peer, [blob]);
    const second = grants.grant(peer, [blob]);
    first[Symbol.dispose]();
    first[Symbol.dispose]();
    expect(grants.isAllowed(peer, blob)).toBe(true);
    second[Symbol.dispose]();
    expect(grants.isAllowed(peer, blob)).toBe(false);
  });

  it('hold exactly while any grant does', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(3), fc.nat(3), fc.boolean())), (steps) => {
        const grants = new BlobGrants();
        const open = new Map<string, Disposable[]>();
        for (const [peer, blob, isGrant] of steps) {
          const key = `${peer}/${blob}`;
          const held = open.get(key) ?? [];
          open.set(key, held);
          if (isGrant) held.push(grants.grant(`${peer}` as never, [`${blob}` as never]));
          else held.pop()?.[Symbol.dispose]();
        }
        for (const [key, held] of open) {
          const [peer, blob] = key.split('/') as [never, never];
          expect(grants.isAllowed(peer, blob)).toBe(held.length > 0);
        }
      }),
    );
  });
});

describe('fetching', () => {
  it.each([0, 1, MAX_BLOB_CHUNK_BYTES, 5 * MAX_BLOB_CHUNK_BYTES + 7])('brings %d bytes over', async (length) => {
    const { server, client, blobs, grants, modules } = await pair();
    const { blob, sizeBytes } = await blobs.server.put(bytesOf(length));
    grants.grant(client, [blob]);
    await fetchBlob(modules, { peer: server, blob, sizeBytes });
    // `toEqual` looks at each byte apart.
    expect(Buffer.compare(blobs.client.blobs.get(blob) ?? new Uint8Array(1), bytesOf(length))).toBe(0);
  });

  it('asks for nothing that is here already', async () => {
    const { mesh, server, blobs, modules } = await pair();
    const { blob, sizeBytes } = await blobs.client.put(bytesOf(10));
    await fetchBlob(modules, { peer: server, blob, sizeBytes });
    expect(mesh.sent).toEqual([]);
  });

  it('is refused without a grant, even for a blob that is there', async () => {
    const { server, blobs, modules } = await pair();
    const { blob, sizeBytes } = await blobs.server.put(bytesOf(10));
    await expect(fetchBlob(modules, { peer: server, blob, sizeBytes })).rejects.toMatchObject({
      code: 'SCHEDULER_BLOB_NOT_SERVED',
    });
  });

  it('refuses a size that is not the one signed for, and bytes of another hash', async () => {
    const { server, client, blobs, grants, modules } = await pair();
    const { blob } = await blobs.server.put(bytesOf(10));
    grants.grant(client, [blob]);
    await expect(fetchBlob(modules, { peer: server, blob, sizeBytes: 11 })).rejects.toMatchObject({
      code: 'SCHEDULER_BLOB_SIZE',
    });
    const other = BlobId(computeRawCid(bytesOf(9)).toString());
    blobs.server.blobs.set(other, bytesOf(10));
    grants.grant(client, [other]);
    await expect(fetchBlob(modules, { peer: server, blob: other, sizeBytes: 10 })).rejects.toThrow();
    expect(blobs.client.blobs.size).toBe(0);
  });
});
