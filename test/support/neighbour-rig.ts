import { createHash } from 'node:crypto';
import { base58btc } from 'multiformats/bases/base58';
import { FixedBeacon } from '../../src/beacon/computed-beacon.ts';
import type { PeerKey } from '../../src/domain/ids.ts';
import type { NeighbourRequest, NeighbourResponse } from '../../src/domain/messages.ts';
import type { SignedWire } from '../../src/domain/signed.ts';
import { areBytesEqual, concatBytes, encodeHex, encodeUtf8 } from '../../src/lib/bytes.ts';
import type { Random } from '../../src/lib/random.ts';
import { NetworkError } from '../../src/network/errors.ts';
import type { NeighbourDirection } from '../../src/network/interface.ts';
import { CandidateTable } from '../../src/network/neighbours/candidates/candidate-table.ts';
import { createNeighbourMetrics } from '../../src/network/neighbours/metrics.ts';
import {
  CANDIDATE_TABLE_DEFAULTS,
  type CandidateTableOptions,
  NEIGHBOUR_DEFAULTS,
  type NeighbourOptions,
} from '../../src/network/neighbours/options.ts';
import type {
  AutonomousSystems,
  EpochBeacon,
  NeighbourLinks,
  NodeFacts,
  OpenedNode,
  StoredSlots,
  VrfSuite,
} from '../../src/network/neighbours/ports.ts';
import { VrfNeighbours } from '../../src/network/neighbours/vrf-neighbours.ts';
import type { VrfVerdict } from '../../src/vrf/ecvrf.ts';
import { ManualClock, settleTasks } from './manual-clock.ts';
import { RecordingLogger, RecordingMetrics } from './network.ts';

export const RIG_NETWORK = 'rig';
export const EPOCH_MS = 3_600_000;
export const START_EPOCH = 500_000;

/** Upkeep seldom: every timer takes a test a few turns of the event loop. */
const RIG_OPTIONS = { networkId: RIG_NETWORK, upkeepMs: EPOCH_MS / 8 };

/** Repeats from its seed. */
export class CountingRandom implements Random {
  readonly #seed: string;
  #count = 0;

  constructor(seed: string) {
    this.#seed = seed;
  }

  bytes(length: number): Uint8Array {
    this.#count += 1;
    return new Uint8Array(createHash('sha512').update(`${this.#seed} ${this.#count}`).digest()).slice(0, length);
  }
}

const digest = (...parts: readonly Uint8Array[]): Uint8Array =>
  new Uint8Array(
    createHash('sha512')
      .update(concatBytes(...parts))
      .digest(),
  );

/** A PeerId of the form that Ed25519 keys have, made from a name. */
export function createPeer(name: string): PeerKey {
  const head = Uint8Array.of(0, 0x24, 8, 1, 0x12, 0x20);
  return base58btc.encode(concatBytes(head, digest(encodeUtf8(name)).slice(0, 32))).slice(1) as PeerKey;
}

export const createVrfKey = (name: string): Uint8Array => digest(encodeUtf8(`vrf of ${name}`)).slice(0, 32);

/** What a VRF promises, by hashing: whoever verifies looks up what whoever proves knows. */
export class IdealVrf {
  readonly #keys = new Set<string>();

  suite(publicKey: Uint8Array): VrfSuite {
    this.#keys.add(encodeHex(publicKey));
    return {
      prove: async (input) => this.prove(publicKey, input),
      verify: (key, input, proof) => this.#verify(key, input, proof),
    };
  }

  prove(publicKey: Uint8Array, input: Uint8Array): Uint8Array {
    return concatBytes(digest(publicKey, input), new Uint8Array(16));
  }

  #verify(key: Uint8Array, input: Uint8Array, proof: Uint8Array): VrfVerdict {
    const isKnown = this.#keys.has(encodeHex(key));
    if (!isKnown || !areBytesEqual(proof, this.prove(key, input))) {
      return { kind: 'invalid', reason: 'challenge-mismatch' };
    }
    return { kind: 'valid', output: digest(encodeUtf8('output'), key, input) };
  }
}

/** Stands for a signed record: what it says, unsigned. */
export function encodeFacts(node: NodeFacts): SignedWire {
  const text = JSON.stringify({ ...node, vrfPublicKey: encodeHex(node.vrfPublicKey) });
  return { kind: 'envelope', envelope: encodeUtf8(text) };
}

async function openFacts(wire: SignedWire, peer: PeerKey): Promise<OpenedNode> {
  if (wire.kind !== 'envelope') return { kind: 'refused', detail: 'no envelope', penalty: 10 };
  try {
    const facts = JSON.parse(Buffer.from(wire.envelope).toString()) as Omit<NodeFacts, 'vrfPublicKey'> & {
      vrfPublicKey: string;
    };
    if (facts.peer !== peer) return { kind: 'refused', detail: 'of another peer', penalty: 10 };
    const vrfPublicKey = Uint8Array.from(Buffer.from(facts.vrfPublicKey, 'hex'));
    return { kind: 'opened', node: { ...facts, vrfPublicKey } };
  } catch {
    return { kind: 'refused', detail: 'malformed', penalty: 10 };
  }
}

export interface RigNodeSetup {
  readonly options?: Partial<NeighbourOptions>;
  readonly table?: Partial<CandidateTableOptions>;
  readonly addresses?: readonly string[];
  readonly vrfPublicKey?: Uint8Array;
  readonly stored?: StoredSlots;
  readonly beacon?: EpochBeacon;
  readonly autonomousSystems?: AutonomousSystems;
  readonly expiresAtMs?: number;
}

export interface RigNode {
  readonly name: string;
  readonly peer: PeerKey;
  readonly vrfPublicKey: Uint8Array;
  readonly facts: NodeFacts;
  readonly neighbours: VrfNeighbours;
  readonly table: CandidateTable;
  readonly metrics: RecordingMetrics;
  readonly penalties: Map<PeerKey, number>;
  readonly kept: Map<PeerKey, NeighbourDirection>;
  readonly sought: number[];
  readonly saved: () => StoredSlots | undefined;
  outbound(): PeerKey[];
  inbound(): PeerKey[];
}

/** Answers in place of a node: what a liar does. */
export type Answer = (from: PeerKey, request: NeighbourRequest) => NeighbourResponse;

/** Many nodes in one process: ideal links, ideal VRF, time that passes when a test says so. */
export class NeighbourRig {
  readonly clock = new ManualClock(START_EPOCH * EPOCH_MS + 60_000);
  readonly vrf = new IdealVrf();
  readonly beacon: FixedBeacon;
  readonly nodes = new Map<PeerKey, RigNode>();
  readonly down = new Set<PeerKey>();
  readonly answers = new Map<PeerKey, Answer>();
  /** Where a peer connects from, if not from where its record says. */
  readonly observed = new Map<PeerKey, readonly string[]>();
  readonly sent: { readonly from: PeerKey; readonly to: PeerKey; readonly request: NeighbourRequest }[] = [];
  readonly #connections = new Set<string>();

  constructor(seed = 'rig') {
    this.beacon = new FixedBeacon(
      { clock: this.clock },
      { networkId: RIG_NETWORK, roundMs: 30_000, epochRounds: 120, seed: digest(encodeUtf8(seed)).slice(0, 32) },
    );
  }

  get epoch(): number {
    return this.beacon.epochOfRound(this.beacon.roundAt(this.clock.nowMs()));
  }

  add(name: string, setup: RigNodeSetup = {}): RigNode {
    const peer = createPeer(name);
    const vrfPublicKey = setup.vrfPublicKey ?? createVrfKey(name);
    const { addresses = [], expiresAtMs = Number.MAX_SAFE_INTEGER } = setup;
    const facts: NodeFacts = { peer, vrfPublicKey, addresses, expiresAtMs };
    const random = new CountingRandom(name);
    const metrics = new RecordingMetrics();
    const { autonomousSystems } = setup;
    const table = new CandidateTable(
      { random, autonomousSystems },
      { ...CANDIDATE_TABLE_DEFAULTS, ...setup.table, usesPrivate: false },
    );
    const penalties = new Map<PeerKey, number>();
    const kept = new Map<PeerKey, NeighbourDirection>();
    const sought: number[] = [];
    let saved = setup.stored;
    const neighbours = new VrfNeighbours(
      {
        clock: this.clock,
        random,
        beacon: setup.beacon ?? this.beacon,
        vrf: this.vrf.suite(vrfPublicKey),
        table,
        links: this.#createLinks(facts, { penalties, kept, sought }),
        openNode: openFacts,
        store: {
          load: async () => saved ?? { outbound: [], inbound: [], networkSize: null },
          save: async (slots) => {
            saved = slots;
          },
        },
        logger: new RecordingLogger(),
        metrics: createNeighbourMetrics(metrics),
      },
      { ...NEIGHBOUR_DEFAULTS, ...RIG_OPTIONS, self: peer, vrfPublicKey, ...setup.options },
    );
    const list = (direction: NeighbourDirection) => () =>
      neighbours.status().neighbours.flatMap((view) => (view.direction === direction ? [view.peer] : []));
    const node: RigNode = {
      name,
      peer,
      vrfPublicKey,
      facts,
      neighbours,
      table,
      metrics,
      penalties,
      kept,
      sought,
      saved: () => saved,
      outbound: list('outbound'),
      inbound: list('inbound'),
    };
    this.nodes.set(peer, node);
    return node;
  }

  /** `count` nodes that have known each other for `ageEpochs`, confirmed by two sources. */
  addAged(count: number, setup: RigNodeSetup = {}, ageEpochs = 10): RigNode[] {
    const nodes = Array.from({ length: count }, (_, index) => this.add(`node ${index}`, setup));
    for (const node of nodes) this.introduceAll(node, nodes, ageEpochs);
    return nodes;
  }

  introduceAll(to: RigNode, others: readonly RigNode[], ageEpochs = 10): void {
    for (const other of others) if (other !== to) this.introduce(to, other.facts, ageEpochs);
  }

  introduce(to: RigNode, node: NodeFacts, ageEpochs = 10, tellers: readonly string[] = ['one', 'two']): void {
    for (const teller of tellers) to.table.note({ node, teller, epoch: this.epoch - ageEpochs });
    to.table.note({ node, teller: tellers[0] ?? '', epoch: this.epoch });
  }

  async startAll(nodes: Iterable<RigNode> = this.nodes.values()): Promise<void> {
    for (const node of nodes) await node.neighbours.start();
    await this.clock.advance(10_000);
  }

  async stopAll(): Promise<void> {
    for (const { neighbours } of this.nodes.values()) await neighbours.stop();
  }

  /** To a minute after the next epoch has begun. */
  async nextEpoch(): Promise<void> {
    const start = this.beacon.startOfRound(this.beacon.firstRoundOfEpoch(this.epoch + 1));
    await this.clock.advance(start - this.clock.nowMs() + 60_000);
  }

  /** The node is gone, without a word. */
  kill(node: RigNode): void {
    this.down.add(node.peer);
    for (const other of this.nodes.values()) this.disconnect(node.peer, other.peer);
  }

  disconnect(a: PeerKey, b: PeerKey): void {
    if (!this.#connections.delete(link(a, b))) return;
    this.nodes.get(a)?.neighbours.noteConnection(b, false);
    this.nodes.get(b)?.neighbours.noteConnection(a, false);
  }

  connect(a: PeerKey, b: PeerKey): void {
    if (this.#connections.has(link(a, b))) return;
    this.#connections.add(link(a, b));
    this.nodes.get(a)?.neighbours.noteConnection(b, true);
    this.nodes.get(b)?.neighbours.noteConnection(a, true);
  }

  /** As a node would send it; a liar uses it for what no node sends. */
  async send(from: PeerKey, to: PeerKey, request: NeighbourRequest): Promise<NeighbourResponse> {
    this.sent.push({ from, to, request });
    const target = this.nodes.get(to);
    if (this.down.has(from) || this.down.has(to) || target === undefined) {
      throw new NetworkError({ code: 'NETWORK_UNREACHABLE', target: to, reason: 'it is down' });
    }
    this.connect(from, to);
    await settleTasks(1);
    return this.answers.get(to)?.(from, request) ?? target.neighbours.answer(from, request);
  }

  #createLinks(
    facts: NodeFacts,
    seen: { penalties: Map<PeerKey, number>; kept: Map<PeerKey, NeighbourDirection>; sought: number[] },
  ): NeighbourLinks {
    const self = facts.peer;
    return {
      isConnected: (peer) => this.#connections.has(link(self, peer)),
      request: (peer, request) => this.send(self, peer, request),
      ownRecord: () => encodeFacts(facts),
      observedAddresses: (peer) => this.observed.get(peer) ?? this.nodes.get(peer)?.facts.addresses ?? [],
      keep: (peer, direction) => void (direction === null ? seen.kept.delete(peer) : seen.kept.set(peer, direction)),
      seekCandidates: (peers) => void seen.sought.push(peers.length),
      penalise: (peer, penalty) => void seen.penalties.set(peer, (seen.penalties.get(peer) ?? 0) + penalty),
    };
  }
}

const link = (a: PeerKey, b: PeerKey): string => (a < b ? `${a} ${b}` : `${b} ${a}`);
