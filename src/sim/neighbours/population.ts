import { base58btc } from 'multiformats/bases/base58';
import { PeerKey } from '../../domain/ids.ts';
import type { SignedWire } from '../../domain/signed.ts';
import { deriveVrfKey } from '../../identity/vrf-key.ts';
import { concatBytes, encodeHex } from '../../lib/bytes.ts';
import type { NodeFacts, NodeOpener, VrfSuite } from '../../network/neighbours/ports.ts';
import { proveVrf, verifyVrf } from '../../vrf/ecvrf.ts';
import type { SeededRandom } from '../random/seeded-random.ts';
import { IdealVrf } from './ideal-vrf.ts';

export interface Member {
  readonly number: number;
  readonly peer: PeerKey;
  readonly isHonest: boolean;
  readonly facts: NodeFacts;
  readonly record: SignedWire;
  readonly vrf: VrfSuite;
}

export interface PopulationOptions {
  readonly nodes: number;
  /** Adversaries have the last numbers of these nodes. */
  readonly adversaries: number;
  /** Honest ones after them. */
  readonly joiners?: number;
  /** /24 groups that the adversaries have their addresses in; null: each has one of its own, as honest nodes do. */
  readonly adversaryGroups: number | null;
  readonly vrf: 'ideal' | 'real';
  /** How long records are valid, from the start of the simulation. */
  readonly expiresAtMs: number;
}

/** The multihash of a PeerId of an Ed25519 key: identity, 36 bytes, protobuf of key type 1 and 32 bytes. */
const PEER_PREFIX = Uint8Array.of(0x00, 0x24, 0x08, 0x01, 0x12, 0x20);
const KEY_BYTES = 32;
const WIRE_BYTES = 16;

/** All nodes of a simulated network, with keys, addresses and records. Records are known by a number, not signed. */
export class Population {
  readonly members: readonly Member[];
  readonly #byPeer = new Map<PeerKey, Member>();
  readonly #byWire = new Map<string, Member>();
  readonly #random: SeededRandom;
  readonly #options: PopulationOptions;
  readonly #ideal = new IdealVrf();

  constructor(random: SeededRandom, options: PopulationOptions) {
    this.#random = random;
    this.#options = options;
    this.members = Array.from({ length: options.nodes + (options.joiners ?? 0) }, (_, number) => this.#create(number));
  }

  get honest(): readonly Member[] {
    return this.members.filter(({ isHonest }) => isHonest);
  }

  find(peer: PeerKey): Member | undefined {
    return this.#byPeer.get(peer);
  }

  /** In place of a signature: a record is that of the member whose wire it is. */
  get openNode(): NodeOpener {
    return async (wire, peer) => {
      const member = wire.kind === 'envelope' ? this.#byWire.get(encodeHex(wire.envelope)) : undefined;
      return member?.peer === peer
        ? { kind: 'opened', node: member.facts }
        : { kind: 'refused', detail: 'the record is of another', penalty: 20 };
    };
  }

  /** Another identity on the machine of a member, such as a key that was ground. */
  createExtra(host: Member): Member {
    return this.#create(host.number);
  }

  /** The same peer with another VRF key, and elsewhere if addresses are named. */
  renewKey(member: Member, { addresses = member.facts.addresses }: Partial<Pick<NodeFacts, 'addresses'>> = {}): Member {
    const { publicKey, suite } = this.#createVrf(this.#random.bytes(KEY_BYTES));
    const expiresAtMs = member.facts.expiresAtMs + 1;
    const facts = { ...member.facts, addresses, vrfPublicKey: publicKey, expiresAtMs };
    const envelope = this.#random.bytes(WIRE_BYTES);
    return this.#enter({ ...member, facts, vrf: suite, record: { kind: 'envelope', envelope } }, envelope);
  }

  #create(number: number): Member {
    const { nodes, adversaries } = this.#options;
    const peer = PeerKey(base58btc.encode(concatBytes(PEER_PREFIX, this.#random.bytes(KEY_BYTES))).slice(1));
    const secret = this.#random.bytes(KEY_BYTES);
    const envelope = this.#random.bytes(WIRE_BYTES);
    const { publicKey, suite } = this.#createVrf(secret);
    const isHonest = number < nodes - adversaries || number >= nodes;
    const member: Member = {
      number,
      peer,
      isHonest,
      facts: {
        peer,
        vrfPublicKey: publicKey,
        addresses: [this.#placeAt(number, isHonest)],
        expiresAtMs: this.#options.expiresAtMs,
      },
      record: { kind: 'envelope', envelope },
      vrf: suite,
    };
    return this.#enter(member, envelope);
  }

  #enter(member: Member, envelope: Uint8Array): Member {
    this.#byPeer.set(member.peer, member);
    this.#byWire.set(encodeHex(envelope), member);
    return member;
  }

  #createVrf(secret: Uint8Array): { readonly publicKey: Uint8Array; readonly suite: VrfSuite } {
    if (this.#options.vrf === 'real') {
      const { publicKey, secretKey } = deriveVrfKey(secret);
      return { publicKey, suite: { prove: async (input) => proveVrf(secretKey, input), verify: verifyVrf } };
    }
    const publicKey = this.#random.bytes(KEY_BYTES);
    this.#ideal.register(publicKey, secret);
    return { publicKey, suite: this.#ideal.suiteOf(publicKey) };
  }

  /** A public IPv4 address: of a /24 of its own, or in one that adversaries share. */
  #placeAt(number: number, isHonest: boolean): string {
    const { adversaryGroups } = this.#options;
    const group = isHonest || adversaryGroups === null ? number : FIRST_SHARED_GROUP + (number % adversaryGroups);
    return `/ip4/${20 + (group >> 16)}.${(group >> 8) & 255}.${group & 255}.${1 + (number % 254)}/tcp/4717`;
  }
}

/** Beyond the groups of all who have one of their own. */
const FIRST_SHARED_GROUP = 1_000_000;
