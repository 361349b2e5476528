/**
 * A node's network as a process of its own, for a host of test/support/netns.ts: told what to do over the process's IPC
 * channel, and telling what it sees whenever that changes.
 */
import type { PeerKey } from '../../src/domain/ids.ts';
import { DaemonError } from '../../src/lib/errors.ts';
import type { NodeRecordContent, Reachability } from '../../src/network/interface.ts';
import type { NetworkOptions } from '../../src/network/options.ts';
import { FastClock, startTestNode, TEST_CONTENT } from './network.ts';

export interface NetnsNodeSetup {
  readonly options: Partial<NetworkOptions>;
  /** How many times sooner than in production scheduled work comes. */
  readonly hurry: number;
}

export type NetnsCommand =
  | { readonly id: number; readonly op: 'update'; readonly price: string }
  | { readonly id: number; readonly op: 'connect'; readonly address: string }
  | { readonly id: number; readonly op: 'verify'; readonly peer: PeerKey };

export interface NetnsPeer {
  readonly peer: PeerKey;
  readonly isConnected: boolean;
  readonly direction: 'inbound' | 'outbound' | null;
  /** Of its record; null without one. */
  readonly price: string | null;
  /** The one that worked last comes first. */
  readonly addresses: readonly string[];
}

export interface NetnsState {
  readonly self: PeerKey;
  readonly addresses: readonly string[];
  /** Whether others can connect to it, as it sees that itself, and the relays at which it has a place. */
  readonly reachability: Reachability['kind'];
  readonly relays: readonly string[];
  readonly peers: readonly NetnsPeer[];
  readonly meshPeers: number;
  readonly chosen: readonly PeerKey[];
  readonly choosers: readonly PeerKey[];
  readonly refusals: readonly string[];
}

export type NetnsReport =
  | { readonly kind: 'state'; readonly state: NetnsState }
  | { readonly kind: 'answer'; readonly id: number; readonly value: unknown }
  | { readonly kind: 'failure'; readonly id: number; readonly code: string };

/** How often what has no event of its own is looked at, ms. */
const LOOK_MS = 100;

const describeContent = (price: string): NodeRecordContent => ({
  ...TEST_CONTENT,
  pricesPerHour: [{ capabilityClass: 'cpu', price }],
});

async function main(setup: NetnsNodeSetup): Promise<void> {
  const node = await startTestNode({ options: setup.options, clock: new FastClock(setup.hurry) });
  const { network, identity } = node;
  await network.updateRecord(describeContent('1'));
  let told = '';
  const tell = (): void => {
    const status = network.neighbours.status();
    const list = (direction: string) =>
      status.neighbours.flatMap((view) => (view.direction === direction ? [view.peer] : [])).toSorted();
    const state: NetnsState = {
      self: identity.peer,
      addresses: network.status().listen,
      reachability: network.status().reachability.kind,
      relays: network.status().reachability.relays,
      peers: network.peers.list().map(({ peer, isConnected, direction, addresses, record }) => ({
        peer,
        isConnected,
        direction,
        addresses,
        price: record?.value.pricesPerHour[0]?.price ?? null,
      })),
      meshPeers: network.status().gossip['records']?.meshPeers ?? 0,
      chosen: list('outbound'),
      choosers: list('inbound'),
      refusals: status.refusals.map(({ code }) => code),
    };
    const text = JSON.stringify(state);
    if (text === told) return;
    told = text;
    report({ kind: 'state', state });
  };
  tell();
  setInterval(tell, LOOK_MS);
  process.on('message', (command: NetnsCommand) => {
    const run = async (): Promise<unknown> => {
      switch (command.op) {
        case 'update':
          return network.updateRecord(describeContent(command.price));
        case 'connect':
          return network.connect(command.address);
        case 'verify':
          return network.neighbours.verify(command.peer, {});
        default:
          return command satisfies never;
      }
    };
    run().then(
      (value) => report({ kind: 'answer', id: command.id, value: value ?? null }),
      (error: unknown) => {
        const code = error instanceof DaemonError ? error.code : String(error);
        report({ kind: 'failure', id: command.id, code });
      },
    );
  });
}

function report(message: NetnsReport): void {
  process.send?.(message);
}

// The test that started it is gone.
process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'));
await main(JSON.parse(process.argv[2] ?? '{}') as NetnsNodeSetup);
