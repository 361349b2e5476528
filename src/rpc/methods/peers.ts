import { pause } from '../../lib/pause.ts';
import type { PeerInfo } from '../../network/interface.ts';
import { CHANGE_INTERVAL_MS } from '../constants.ts';
import type { PeerView } from '../interface.ts';
import type { HandlerModules, MethodHandlers, SubscriptionHandlers } from './handlers.ts';

export function createPeersHandlers(modules: HandlerModules): MethodHandlers<'peers.list' | 'peers.connect'> {
  const { network } = modules;
  return {
    'peers.list': () => ({ peers: network.peers.list().map(createPeerView) }),
    'peers.connect': async ({ address }, { signal }) => ({ peer: await network.connect(address, { signal }) }),
  };
}

export function createPeersSubscriptions(modules: HandlerModules): SubscriptionHandlers<'peers.subscribe'> {
  return { 'peers.subscribe': (_, signal) => watchPeers(modules, signal) };
}

/** Changes that come while one is told are told together. */
async function* watchPeers(
  { network, clock }: HandlerModules,
  signal: AbortSignal,
): AsyncIterable<{ connected: number; known: number }> {
  let wake: (() => void) | undefined;
  let isChanged = true;
  const onWake = (): void => wake?.();
  const listener = network.peers.onChange(() => {
    isChanged = true;
    wake?.();
  });
  signal.addEventListener('abort', onWake);
  try {
    while (!signal.aborted) {
      if (!isChanged) await new Promise<void>((resolve) => (wake = resolve));
      if (signal.aborted) return;
      isChanged = false;
      const peers = network.peers.list();
      yield { connected: peers.filter(({ isConnected }) => isConnected).length, known: peers.length };
      await pause(clock, CHANGE_INTERVAL_MS, signal);
    }
  } finally {
    signal.removeEventListener('abort', onWake);
    listener[Symbol.dispose]();
  }
}

export function createPeerView({ record, ...info }: PeerInfo): PeerView {
  if (record === null) return { ...info, record: null };
  const { value } = record;
  return {
    ...info,
    record: {
      sequence: value.sequence,
      expiresAtMs: value.expiresAtMs,
      software: value.software,
      provides: value.role.provides,
      region: value.claims.region,
      cpuCores: value.claims.cpuCores,
      memoryBytes: value.claims.memoryBytes,
      gpus: value.claims.gpus.map(({ model }) => model),
      executors: value.executors.map(({ kind, isolation, slots }) => `${kind} (${isolation.join(', ')}) × ${slots}`),
      pricesPerHour: value.pricesPerHour.map(({ capabilityClass, price }) => `${capabilityClass} ${price}`),
    },
  };
}
