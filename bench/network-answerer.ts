/** The other process of bench/network.ts: answers over libp2p and over a bare TLS socket until its parent is gone. */
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:tls';
import { startTestNode } from '../test/support/network.ts';
import { BENCH_LIMITS, MESSAGE_BYTES } from './network-settings.ts';
import { createSelfSigned } from './self-signed.ts';

const node = await startTestNode({ options: { limits: BENCH_LIMITS } });
const bytes = new Uint8Array(MESSAGE_BYTES);
node.network.handle('blob', async function* () {
  yield { kind: 'chunk', sizeBytes: MESSAGE_BYTES, bytes };
});
const server = createServer({ ...createSelfSigned(), minVersion: 'TLSv1.3' }, (socket) => {
  socket.setNoDelay(true);
  socket.on('error', () => socket.destroy());
  socket.on('data', (data: Buffer) => socket.write(data));
});
server.listen(0, '127.0.0.1');
await once(server, 'listening');
process.send?.({ address: node.address(), peer: node.identity.peer, port: (server.address() as AddressInfo).port });
process.once('disconnect', () => {
  server.close();
  void node.network.stop().then(() => process.exit());
});
