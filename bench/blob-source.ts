/** A source of bench/blobs.ts: hands out blobs over libp2p, and as many bytes over a bare TLS socket, until its parent is gone. */
import { once } from 'node:events';
import { open } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { createServer, type TLSSocket } from 'node:tls';
import { startBlobHost } from '../test/support/blob-host.ts';
import type { SourceAnswer, SourceOrder } from './blob-messages.ts';
import { createSelfSigned } from './self-signed.ts';

const CHUNK_BYTES = 2 ** 20;

const host = await startBlobHost();
const chunk = createChunk(1);
host.node.network.handle('job', async function* () {
  yield { kind: 'done' };
});
const server = createServer({ ...createSelfSigned(), minVersion: 'TLSv1.3' }, (socket) => {
  socket.setNoDelay(true);
  socket.on('error', () => socket.destroy());
  socket.once('data', (request: Buffer) => void sendBytes(socket, Number(request.readBigUInt64BE())));
});
server.listen(0, '127.0.0.1');
await once(server, 'listening');
const { port } = server.address() as AddressInfo;
answer({ kind: 'ready', address: host.node.address(), peer: host.node.identity.peer, port });
process.on('message', (order: SourceOrder) => {
  prepare(order).then(answer, (error: unknown) => {
    console.error(error);
    process.exitCode = 1;
    process.disconnect();
  });
});

function answer(message: SourceAnswer): void {
  process.send?.(message);
}

/** Bytes that no two leaves have in common. */
function createChunk(seed: number): Buffer {
  const bytes = Buffer.alloc(CHUNK_BYTES);
  const words = new Uint32Array(bytes.buffer, bytes.byteOffset, CHUNK_BYTES / 4);
  let state = seed;
  for (let index = 0; index < words.length; index++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    words[index] = state;
  }
  return bytes;
}

async function prepare({ sizeBytes, reader }: SourceOrder): Promise<SourceAnswer> {
  const path = join(host.folder, 'source.bin');
  {
    await using file = await open(path, 'w');
    for (let offset = 0; offset < sizeBytes; offset += CHUNK_BYTES) {
      chunk.writeUInt32BE(offset / CHUNK_BYTES);
      await file.write(chunk.subarray(0, Math.min(CHUNK_BYTES, sizeBytes - offset)));
    }
  }
  const stat = await host.store.putFile(path);
  host.grants.grant(reader, [stat.blob]);
  return { kind: 'has', ...stat };
}

async function sendBytes(socket: TLSSocket, sizeBytes: number): Promise<void> {
  for (let left = sizeBytes; left > 0 && !socket.destroyed; left -= CHUNK_BYTES) {
    if (!socket.write(chunk.subarray(0, Math.min(left, CHUNK_BYTES)))) await once(socket, 'drain');
  }
  socket.end();
}

await once(process, 'disconnect');
server.close();
await host[Symbol.asyncDispose]();
