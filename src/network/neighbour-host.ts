import { peerIdFromString } from '@libp2p/peer-id';
import type { PeerKey } from '../domain/ids.ts';
import type { NodeRecord } from '../domain/node-record.ts';
import type { Signed, SignedWire } from '../domain/signed.ts';
import type { Identity } from '../identity/interface.ts';
import type { Clock } from '../lib/clock.ts';
import type { Random } from '../lib/random.ts';
import type { Database } from '../storage/interface.ts';
import type { Logger, MetricsRegistry } from '../telemetry/interface.ts';
import { verifyVrf } from '../vrf/ecvrf.ts';
import type { BackgroundTasks } from './background-tasks.ts';
import { NEIGHBOUR_SEEK_INTERVAL_MS, RECORD_SAMPLE } from './constants.ts';
import type { RecordExchange } from './discovery/record-exchange.ts';
import { countDhtPeers } from './host/create-host.ts';
import type { NeighbourDirection, Neighbours, PeerTransport } from './interface.ts';
import { CandidateTable } from './neighbours/candidates/candidate-table.ts';
import { CROSS_CHECK_PEERS, DENSITY_KEYS } from './neighbours/constants.ts';
import { createNeighbourMetrics } from './neighbours/metrics.ts';
import {
  CANDIDATE_SAVER_DEFAULTS,
  CANDIDATE_TABLE_DEFAULTS,
  NEIGHBOUR_DEFAULTS,
  NO_CAPS,
} from './neighbours/options.ts';
import type { AutonomousSystems, EpochBeacon, NeighbourLinks, NodeFacts, OpenedNode } from './neighbours/ports.ts';
import { CandidateSaver } from './neighbours/stored/candidate-saver.ts';
import { LevelNeighbourStore } from './neighbours/stored/level-neighbour-store.ts';
import { VrfNeighbours } from './neighbours/vrf-neighbours.ts';
import { type NetworkOptions, PRESETS } from './options.ts';
import type { BoundedPeerBook } from './peers/bounded-peer-book.ts';
import type { PeerPenalties } from './peers/peer-penalties.ts';
import type { RecordIntake } from './peers/record-intake.ts';
import { judgeRecord, RECORD_RULES, type RecordRuleCode } from './peers/record-rules.ts';
import { openRecord } from './peers/record-wire.ts';
import type { RunningParts } from './running-parts.ts';

export interface NeighbourHostModules {
  readonly identity: Identity;
  readonly database: Database;
  readonly beacon: EpochBeacon;
  /** Absent: neighbours are not spread over autonomous systems. */
  readonly autonomousSystems?: AutonomousSystems | undefined;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly registry: MetricsRegistry;
  readonly transport: Pick<PeerTransport, 'handle' | 'request'>;
  readonly book: Pick<BoundedPeerBook, 'isConnected' | 'get' | 'list'>;
  readonly penalties: PeerPenalties;
  readonly background: BackgroundTasks;
  readonly intake: Pick<RecordIntake, 'take'>;
  readonly exchange: Pick<RecordExchange, 'ask'>;
  readonly ownRecord: () => Signed<NodeRecord> | null;
  readonly running: () => RunningParts | null;
  readonly onPenalty: (peer: PeerKey) => void;
}

/** libp2p's reconnect queue brings back whoever carries a tag that begins like this. */
const OUTBOUND_TAG = 'keep-alive-fogproof';
const INBOUND_TAG = 'fogproof-neighbour';
/** Above what libp2p's own parts give: the connection manager closes the lowest sums first. */
const OUTBOUND_TAG_VALUE = 100;
const INBOUND_TAG_VALUE = 60;

/** Joins the choice of neighbours to the libp2p host, the book of peers and the database. */
export class NeighbourHost {
  readonly #modules: NeighbourHostModules;
  readonly #options: NetworkOptions;
  readonly #table: CandidateTable;
  readonly #store: LevelNeighbourStore;
  readonly #saver: CandidateSaver;
  readonly #neighbours: VrfNeighbours;
  #seekNotBeforeMs = Number.NEGATIVE_INFINITY;

  constructor(modules: NeighbourHostModules, options: NetworkOptions) {
    const { identity, beacon, clock, random, logger, registry } = modules;
    const policy = PRESETS[options.preset];
    this.#modules = modules;
    this.#options = options;
    this.#store = new LevelNeighbourStore(modules);
    const onUnsaved = (): void => this.#saver.noteChange();
    this.#table = new CandidateTable(
      { ...modules, onUnsaved },
      {
        ...CANDIDATE_TABLE_DEFAULTS,
        maxPerGroup: policy.candidatesPerGroup,
        maxPerSystem: policy.candidatesPerSystem,
        usesPrivate: policy.privateAddresses === 'use',
      },
    );
    this.#saver = new CandidateSaver(
      { clock, table: this.#table, store: this.#store, inBackground: (task) => modules.background.run(task) },
      { ...CANDIDATE_SAVER_DEFAULTS, ...options.neighbours },
    );
    this.#neighbours = new VrfNeighbours(
      {
        clock,
        random,
        logger,
        beacon,
        vrf: { prove: (input) => identity.proveVrf(input), verify: verifyVrf },
        table: this.#table,
        links: this.#createLinks(),
        openNode: (wire, peer) => this.#openNode(wire, peer),
        store: this.#store,
        metrics: createNeighbourMetrics(registry),
        onTurn: () => this.#saver.save(),
      },
      {
        ...NEIGHBOUR_DEFAULTS,
        caps: { ...NO_CAPS, address: policy.neighboursPerGroup, asn: policy.neighboursPerSystem },
        ...options.neighbours,
        self: identity.peer,
        vrfPublicKey: identity.vrfPublicKey,
        networkId: options.networkId,
      },
    );
    const neighbours = this.#neighbours;
    modules.transport.handle('neighbour', async function* (request, { peer }) {
      yield await neighbours.answer(peer, request);
    });
  }

  get neighbours(): Neighbours {
    return this.#neighbours;
  }

  async start(): Promise<void> {
    const { beacon, clock } = this.#modules;
    this.#saver.start();
    const stored = await this.#store.loadCandidates();
    this.#table.restore(stored, beacon.epochOfRound(beacon.roundAt(clock.nowMs())));
    await this.#neighbours.start();
  }

  async stop(): Promise<void> {
    await this.#neighbours.stop();
    await this.#saver.stop();
  }

  /** A valid record, and the peer that told it. */
  noteRecord({ value }: Signed<NodeRecord>, teller: string): void {
    this.#neighbours.noteNode(readFacts(value), teller);
  }

  noteConnection(peer: PeerKey, isConnected: boolean): void {
    this.#neighbours.noteConnection(peer, isConnected);
  }

  isChosen(peer: string): boolean {
    // A string that is no PeerKey is nobody's.
    const direction = this.#neighbours.isNeighbour(peer as PeerKey);
    return direction === 'outbound' || direction === 'both';
  }

  async #openNode(wire: SignedWire, peer: PeerKey): Promise<OpenedNode> {
    const opened = await openRecord(wire, peer);
    if (opened.kind === 'refused') return refuse(opened.code);
    const { networkId } = this.#options;
    const context = { networkId, nowMs: this.#modules.clock.nowMs(), knownSequence: 0 };
    const verdict = judgeRecord(opened.record, context);
    if (verdict.kind !== 'accept') return refuse(verdict.code as RecordRuleCode);
    await this.#modules.intake.take(wire, 'inbound', undefined, peer);
    return { kind: 'opened', node: readFacts(opened.record.value) };
  }

  #createLinks(): NeighbourLinks {
    const { book, transport, penalties, running, ownRecord, onPenalty } = this.#modules;
    return {
      isConnected: (peer) => book.isConnected(peer),
      request: async (peer, request, options) => {
        if (!book.isConnected(peer)) await this.#dial(peer);
        return transport.request(peer, 'neighbour', request, options);
      },
      ownRecord: () => ownRecord()?.wire ?? null,
      observedAddresses: (peer) =>
        (running()?.host.getConnections(peerIdFromString(peer)) ?? []).map(({ remoteAddr }) => remoteAddr.toString()),
      keep: (peer, direction) => this.#keep(peer, direction),
      seekCandidates: (peers) => this.#seek(peers),
      penalise: (peer, penalty) => {
        penalties.add(peer, penalty);
        onPenalty(peer);
      },
      findClosest: (keys, { signal }) => this.#findClosest(keys, signal),
    };
  }

  /** With the addresses that are known; without any the DHT is asked by the dial itself. */
  async #dial(peer: PeerKey): Promise<void> {
    const addresses = this.#modules.book.get(peer)?.addresses ?? [];
    await this.#modules.running()?.dialer.dialPeer(peer, addresses, 'manual');
  }

  #keep(peer: PeerKey, direction: NeighbourDirection | null): void {
    const host = this.#modules.running()?.host;
    if (host === undefined) return;
    const tags = {
      [OUTBOUND_TAG]: direction === 'outbound' ? { value: OUTBOUND_TAG_VALUE } : undefined,
      [INBOUND_TAG]: direction === 'inbound' ? { value: INBOUND_TAG_VALUE } : undefined,
    };
    this.#modules.background.run(async () => void (await host.peerStore.merge(peerIdFromString(peer), { tags })));
  }

  /** A few steps of a random walk: each answers with a random run of the records that it knows. */
  #seek(neighbours: readonly PeerKey[]): void {
    const { clock, book, background, running, exchange } = this.#modules;
    const parts = running();
    if (parts === null || clock.monotonicMs() < this.#seekNotBeforeMs) return;
    this.#seekNotBeforeMs = clock.monotonicMs() + NEIGHBOUR_SEEK_INTERVAL_MS;
    const connected = book.list().flatMap(({ peer, isConnected }) => (isConnected ? [peer] : []));
    const asked = [...new Set([...neighbours.filter((peer) => book.isConnected(peer)), ...connected])];
    for (const peer of asked.slice(0, CROSS_CHECK_PEERS)) {
      background.run(() => exchange.ask(peer, { op: 'sample', limit: RECORD_SAMPLE }, parts.controller.signal));
    }
  }

  /** A DHT of a few peers says nothing about density that counting does not. */
  async #findClosest(keys: readonly Uint8Array[], signal: AbortSignal): Promise<readonly (readonly Uint8Array[])[]> {
    const parts = this.#modules.running();
    if (parts === null || countDhtPeers(parts.host) < DENSITY_KEYS) return [];
    const found: (readonly Uint8Array[])[] = [];
    for (const key of keys) {
      if (signal.aborted) return found;
      found.push(await parts.directory.findClosest(key, signal));
    }
    return found;
  }
}

function readFacts({ peer, vrfPublicKey, addresses, expiresAtMs }: NodeRecord): NodeFacts {
  return { peer, vrfPublicKey, addresses, expiresAtMs };
}

function refuse(code: RecordRuleCode): OpenedNode {
  const { penalty, meaning } = RECORD_RULES[code];
  return { kind: 'refused', detail: meaning, penalty };
}
