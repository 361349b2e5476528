import { generateKeyPair, privateKeyFromRaw } from '@libp2p/crypto/keys';
import type { Ed25519PrivateKey } from '@libp2p/interface';
import { peerIdFromPrivateKey } from '@libp2p/peer-id';
import { RecordEnvelope } from '@libp2p/peer-record';
import { TimeBeacon } from '../../src/beacon/computed-beacon.ts';
import { PeerKey } from '../../src/domain/ids.ts';
import type { Identity } from '../../src/identity/interface.ts';
import { deriveVrfKey } from '../../src/identity/vrf-key.ts';
import { type Clock, SystemClock } from '../../src/lib/clock.ts';
import { SystemRandom } from '../../src/lib/random.ts';
import type { NodeRecordContent } from '../../src/network/interface.ts';
import { Libp2pNetwork } from '../../src/network/libp2p-network.ts';
import type { NetworkOptions } from '../../src/network/options.ts';
import type { Counter, Gauge, Histogram, Logger, MetricsRegistry } from '../../src/telemetry/interface.ts';
import { proveVrf } from '../../src/vrf/ecvrf.ts';
import { MemoryDatabase } from './memory-database.ts';

/** An identity over a key held in memory. */
class MemoryIdentity implements Identity {
  readonly privateKey: Ed25519PrivateKey;
  readonly peer: PeerKey;
  readonly vrfPublicKey: Uint8Array;
  readonly #vrfSecretKey: Uint8Array;

  constructor(privateKey: Ed25519PrivateKey) {
    const vrfKey = deriveVrfKey(privateKey.raw.subarray(0, 32));
    this.privateKey = privateKey;
    this.vrfPublicKey = vrfKey.publicKey;
    this.#vrfSecretKey = vrfKey.secretKey;
    this.peer = PeerKey(peerIdFromPrivateKey(privateKey).toString());
  }

  async sign(bytes: Uint8Array): Promise<Uint8Array> {
    return this.privateKey.sign(bytes);
  }

  async proveVrf(input: Uint8Array): Promise<Uint8Array> {
    return proveVrf(this.#vrfSecretKey, input);
  }

  async seal(domain: string, payloadType: Uint8Array, payload: Uint8Array): Promise<Uint8Array> {
    const record = { domain, codec: payloadType, marshal: () => payload, equals: () => false };
    return (await RecordEnvelope.seal(record, this.privateKey)).marshal();
  }
}

export async function createTestIdentity(): Promise<Identity> {
  return new MemoryIdentity(await generateKeyPair('Ed25519'));
}

/** A second identity object over the same key, as a copied data folder would give. */
export function copyIdentity(identity: Identity): Identity {
  return new MemoryIdentity(privateKeyFromRaw(identity.privateKey.raw) as Ed25519PrivateKey);
}

export interface LogLine {
  readonly level: string;
  readonly fields: Readonly<Record<string, unknown>>;
  readonly message: string;
}

/** Keeps what was logged. */
export class RecordingLogger implements Logger {
  readonly lines: LogLine[] = [];
  readonly #write = (level: string) => (fields: object, message: string) => {
    this.lines.push({ level, fields: { ...fields }, message });
  };
  readonly debug = this.#write('debug');
  readonly info = this.#write('info');
  readonly warn = this.#write('warn');
  readonly error = this.#write('error');
  readonly fatal = this.#write('fatal');

  child(): Logger {
    return this;
  }
}

/** Counts by metric name and labels. */
export class RecordingMetrics implements MetricsRegistry {
  readonly #values = new Map<string, number>();

  counter(name: string): Counter {
    return { increment: (labels = {}, by = 1) => this.#set(name, labels, (old) => old + by) };
  }

  gauge(name: string): Gauge {
    return { set: (value, labels = {}) => this.#set(name, labels, () => value) };
  }

  histogram(name: string): Histogram {
    return { observe: (_value, labels = {}) => this.#set(name, labels, (old) => old + 1) };
  }

  async render(): Promise<string> {
    return [...this.#values].map(([key, value]) => `${key} ${value}`).join('\n');
  }

  /** Sum over all series of a metric that carry these labels. */
  read(name: string, labels: Readonly<Record<string, string>> = {}): number {
    let sum = 0;
    for (const [key, value] of this.#values) {
      if (!key.startsWith(`${name}{`)) continue;
      const isMatch = Object.entries(labels).every(([label, wanted]) => key.includes(`${label}="${wanted}"`));
      if (isMatch) sum += value;
    }
    return sum;
  }

  #set(name: string, labels: Readonly<Record<string, string>>, update: (old: number) => number): void {
    const text = Object.entries(labels).map(([label, value]) => `${label}="${value}"`);
    const key = `${name}{${text.join(',')}}`;
    this.#values.set(key, update(this.#values.get(key) ?? 0));
  }
}

/** Real time, but scheduled work comes `factor` times sooner; `shiftMs` moves the calendar. */
export class FastClock implements Clock {
  readonly #system = new SystemClock();
  readonly #factor: number;
  shiftMs = 0;

  constructor(factor = 1) {
    this.#factor = factor;
  }

  nowMs(): number {
    return this.#system.nowMs() + this.shiftMs;
  }

  monotonicMs(): number {
    return this.#system.monotonicMs();
  }

  schedule(delayMs: number, task: () => void): Disposable {
    return this.#system.schedule(delayMs / this.#factor, task);
  }
}

export const TEST_CONTENT: NodeRecordContent = {
  role: { provides: true, requests: true },
  claims: { claimClass: 'declared', region: null, cpuCores: 2, memoryBytes: 2 ** 30, diskBytes: 2 ** 30, gpus: [] },
  capabilities: ['cpu'],
  executors: [{ kind: 'wasm', isolation: ['process'], instrumenter: 'test', slots: 2 }],
  pricesPerHour: [{ capabilityClass: 'cpu', price: '100' }],
};

export interface TestNode extends AsyncDisposable {
  readonly network: Libp2pNetwork;
  readonly identity: Identity;
  readonly database: MemoryDatabase;
  readonly logger: RecordingLogger;
  readonly metrics: RecordingMetrics;
  readonly clock: FastClock;
  /** First listen address with the peer id. */
  address(): string;
}

export interface TestNodeSetup {
  readonly options?: Partial<NetworkOptions>;
  readonly identity?: Identity;
  readonly database?: MemoryDatabase;
  readonly clock?: FastClock;
}

const LONG_EPOCHS = { roundMs: 30_000, epochRounds: 120 };

/** A network on loopback with a port of its own; not started. */
export async function createTestNode(setup: TestNodeSetup = {}): Promise<TestNode> {
  const identity = setup.identity ?? (await createTestIdentity());
  const database = setup.database ?? new MemoryDatabase();
  const logger = new RecordingLogger();
  const metrics = new RecordingMetrics();
  const clock = setup.clock ?? new FastClock();
  const beacon = new TimeBeacon({ clock }, { networkId: 'test', ...LONG_EPOCHS });
  const options: NetworkOptions = {
    networkId: 'test',
    preset: 'local',
    listen: ['/ip4/127.0.0.1/tcp/0'],
    announce: [],
    bootstrap: [],
    mdns: false,
    preSharedKey: null,
    recordTtlMs: 600_000,
    software: 'fogproof/test',
    ...setup.options,
  };
  const network = new Libp2pNetwork(
    { identity, database, clock, random: new SystemRandom(), logger, metrics, beacon },
    options,
  );
  return {
    network,
    identity,
    database,
    logger,
    metrics,
    clock,
    address: () => network.status().listen[0] ?? '',
    [Symbol.asyncDispose]: () => network[Symbol.asyncDispose](),
  };
}

export async function startTestNode(setup: TestNodeSetup = {}): Promise<TestNode> {
  const node = await createTestNode(setup);
  await node.network.start({});
  return node;
}

/** Resolves as soon as `check` holds; looks again whenever the book changes, and every 20 ms. */
export async function until(
  node: TestNode,
  check: () => boolean,
  timeoutMs = 10_000,
  what = 'a condition of the network',
): Promise<void> {
  if (check()) return;
  await new Promise<void>((resolve, reject) => {
    const look = (): void => {
      if (!check()) return;
      finish();
      resolve();
    };
    const poll = setInterval(look, 20);
    const deadline = setTimeout(() => {
      finish();
      reject(new Error(`${what} did not come about within ${timeoutMs} ms`));
    }, timeoutMs);
    const subscription = node.network.peers.onChange(() => queueMicrotask(look));
    const finish = (): void => {
      clearInterval(poll);
      clearTimeout(deadline);
      subscription[Symbol.dispose]();
    };
  });
}
