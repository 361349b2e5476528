import { once } from 'node:events';
import { expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { SubscriptionHub } from '../../../src/localnet/pubsub/subscription-hub.ts';
import { RpcServer } from '../../../src/localnet/server/rpc-server.ts';
import { MemoryChainStore } from '../../../src/localnet/store/memory-chain-store.ts';
import { NoopLogger } from '../../../src/telemetry/noop-logger.ts';
import { openTestLedger } from '../../support/ledger.ts';

const SUBSCRIPTIONS = 900;

it('drops a client that does not read once 16 MiB wait for it, and nobody else', async () => {
  const ledger = await openTestLedger(new MemoryChainStore());
  const logger = new NoopLogger();
  using hub = new SubscriptionHub({ ledger, logger });
  await using server = new RpcServer(
    { call: async () => null, hub, logger, isHealthy: () => true },
    { host: '127.0.0.1', port: 0, allowedHosts: [] },
  );
  const { webSocketUrl } = await server.listen();
  const [slow, other] = [new WebSocket(webSocketUrl), new WebSocket(webSocketUrl)];
  await Promise.all([slow, other].map((socket) => once(socket, 'open')));
  const subscribe = (id: number) => ({ jsonrpc: '2.0', id, method: 'slotsUpdatesSubscribe' });
  slow.send(JSON.stringify(Array.from({ length: SUBSCRIPTIONS }, (_, id) => subscribe(id))));
  other.send(JSON.stringify(subscribe(1)));
  await Promise.all([slow, other].map((socket) => once(socket, 'message')));
  expect(hub.size).toBe(SUBSCRIPTIONS + 1);
  slow.pause();
  // About 0.9 MB a slot: 16 MiB and what the kernel takes are full long before that.
  for (let slot = 0; slot < 150 && hub.size > 1; slot += 1) {
    await ledger.advance();
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(hub.size).toBe(1);
  const heard = once(other, 'message');
  await ledger.advance();
  await heard;
  for (const socket of [slow, other]) socket.terminate();
});
