import { identify } from '@libp2p/identify';
import type { Connection, Libp2p, Stream } from '@libp2p/interface';
import { peerIdFromString } from '@libp2p/peer-id';
import { tcp } from '@libp2p/tcp';
import { tls } from '@libp2p/tls';
import { yamux } from '@libp2p/yamux';
import { multiaddr } from '@multiformats/multiaddr';
import { createLibp2p } from 'libp2p';
import { type BlobId, PeerKey, UnixMs } from '../../src/domain/ids.ts';
import type { JobRequest, JobResponse, RecordsResponse } from '../../src/domain/messages.ts';
import type { Result } from '../../src/domain/receipt.ts';
import type { SignedWire } from '../../src/domain/signed.ts';
import type { Identity } from '../../src/identity/interface.ts';
import { encodeUtf8 } from '../../src/lib/bytes.ts';
import { createRawCid } from '../../src/lib/cid.ts';
import { SystemClock } from '../../src/lib/clock.ts';
import type { PeerTransport, ProtocolName, RequestHandler } from '../../src/network/interface.ts';
import { createNetworkMetrics } from '../../src/network/metrics.ts';
import { PROTOCOL_NAMES, protocolId } from '../../src/network/reqresp/protocols.ts';
import { RequestTransport } from '../../src/network/reqresp/request-transport.ts';
import type { JobDraft, JobView } from '../../src/scheduler/interface.ts';
import { NoopLogger } from '../../src/telemetry/noop-logger.ts';
import { knowsProviders, type LiveNode, type LiveNodeOptions, startLiveNode } from './live-node.ts';
import { createTestIdentity, RecordingMetrics } from './network.ts';
import { ScriptedExecutor } from './provider-executor.ts';
import { signNodeRecord } from './record-builder.ts';
import { type Script, ScriptedProvider } from './scripted-provider.ts';
import { RawPeer } from './stream-harness.ts';

export const HONEST_OUTPUT = 'forty-two';
/** What a ScriptedProvider must say to agree with `honestExecutor`. */
export const HONEST_RESULT: Partial<Result> = {
  metricsHash: new Uint8Array(32).fill(1),
  instrumentedModule: createRawCid(new Uint8Array(32).fill(2)).toString() as BlobId,
};

export function honestExecutor(): ScriptedExecutor {
  const outputs = [{ path: '/out.txt', bytes: encodeUtf8(HONEST_OUTPUT) }];
  return new ScriptedExecutor(['process'], (execution) => execution.finish({ outputs }));
}

export interface RogueSetup extends Script {
  /** Answers the `job` protocol in place of, or around, the scripted provider. */
  readonly answerJob?: (context: JobAttack) => AsyncIterable<JobResponse>;
  /** What it tells of node records, beside its own. */
  readonly records?: readonly SignedWire[];
}

export interface JobAttack {
  readonly request: JobRequest;
  readonly rogue: RogueProvider;
  /** What the script answers. */
  readonly honest: () => AsyncIterable<JobResponse>;
}

/** A provider on a real host that does what its script says, and is asked first: honest ones name a price. */
export class RogueProvider implements AsyncDisposable {
  readonly identity: Identity;
  readonly provider: ScriptedProvider;
  /** The streams on which it answers jobs, to write on them what it likes. */
  readonly jobStreams: Stream[] = [];
  readonly #host: Libp2p;
  readonly #transport: RequestTransport;

  private constructor(host: Libp2p, identity: Identity, setup: RogueSetup & { readonly forger: Identity }) {
    this.#host = host;
    this.identity = identity;
    const clock = new SystemClock();
    this.#transport = new RequestTransport(
      {
        opener: {
          openStream: (peer, protocol) => host.dialProtocol(peerIdFromString(peer), protocolId('test', protocol)),
        },
        clock,
        logger: new NoopLogger(),
        metrics: createNetworkMetrics(new RecordingMetrics()),
        onViolation: () => undefined,
      },
      { self: identity.peer, limits: {} },
    );
    this.#transport.start();
    this.provider = new ScriptedProvider({ transport: this.#wrap(setup), identity, clock }, setup);
    this.#transport.handle('records', () => this.#tellRecords(setup.records ?? []));
  }

  static async start(bootstrap: string, setup: RogueSetup = {}): Promise<RogueProvider> {
    const identity = await createTestIdentity();
    const host = await createLibp2p({
      privateKey: identity.privateKey,
      addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
      transports: [tcp()],
      connectionEncrypters: [tls()],
      streamMuxers: [yamux()],
      services: { identify: identify() },
    });
    const rogue = new RogueProvider(host, identity, { forger: await createTestIdentity(), ...setup });
    for (const protocol of PROTOCOL_NAMES) {
      await host.handle(protocolId('test', protocol), (stream, connection) => {
        if (protocol === 'job') rogue.jobStreams.push(stream);
        rogue.#transport.accept(stream, PeerKey(connection.remotePeer.toString()), protocol);
      });
    }
    await host.dial(multiaddr(bootstrap));
    return rogue;
  }

  #wrap(setup: RogueSetup): PeerTransport {
    const { answerJob } = setup;
    const transport = this.#transport;
    if (answerJob === undefined) return transport;
    return {
      request: transport.request.bind(transport),
      stream: transport.stream.bind(transport),
      handle: (protocol, handler) => {
        if (protocol !== 'job') return transport.handle(protocol, handler);
        const scripted = handler as unknown as RequestHandler<'job'>;
        return transport.handle('job', (request, context) =>
          answerJob({ request, rogue: this, honest: () => scripted(request, context) }),
        );
      },
    };
  }

  async *#tellRecords(others: readonly SignedWire[]): AsyncGenerator<RecordsResponse> {
    const executors = [
      { kind: 'wasm' as const, isolation: ['process' as const], instrumenter: 'scripted/1', slots: 2 },
    ];
    const addresses = this.#host.getMultiaddrs().map((address) => address.toString());
    const own = await signNodeRecord(this.identity, Date.now(), { addresses, executors, pricesPerHour: [] });
    // Last, so that who knows it has judged the others.
    yield { records: [...others, own.wire] };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#transport.stop();
    await this.#host.stop();
  }
}

/** A plain libp2p host that keeps none of our rules. */
export class RawHost implements AsyncDisposable {
  readonly identity: Identity;
  readonly connection: Connection;
  readonly #stop: () => Promise<void>;

  private constructor(identity: Identity, connection: Connection, stop: () => Promise<void>) {
    this.identity = identity;
    this.connection = connection;
    this.#stop = stop;
  }

  static async dial(address: string): Promise<RawHost> {
    const identity = await createTestIdentity();
    const host = await createLibp2p({
      privateKey: identity.privateKey,
      addresses: { listen: [] },
      transports: [tcp()],
      connectionEncrypters: [tls()],
      streamMuxers: [yamux()],
    });
    return new RawHost(identity, await host.dial(multiaddr(address)), async () => {
      await host.stop();
    });
  }

  async open(protocol: ProtocolName): Promise<RawPeer> {
    return new RawPeer(await this.connection.newStream(protocolId('test', protocol)));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stop();
  }
}

/** Standing price of honest nodes where a rogue is to be asked first. */
export const HONEST_PRICE = [{ capabilityClass: 'cpu' as const, price: '5' }];

export interface Mesh {
  readonly requester: LiveNode;
  readonly honest: readonly LiveNode[];
}

/** A requester and honest providers. */
export async function startHonestMesh(
  stack: AsyncDisposableStack,
  providers: number,
  options: LiveNodeOptions = {},
): Promise<Mesh> {
  const requester = stack.use(await startLiveNode(options));
  const common = { ...options, bootstrap: [requester.address()], pricesPerHour: HONEST_PRICE };
  const honest: LiveNode[] = [];
  for (let index = 0; index < providers; index += 1) {
    honest.push(stack.use(await startLiveNode({ ...common, executor: honestExecutor() })));
  }
  await knowsProviders(requester, providers);
  return { requester, honest };
}

/** Rogues beside the honest mesh, known to its requester. */
export async function joinRogues(
  stack: AsyncDisposableStack,
  { requester, honest }: Mesh,
  setups: readonly RogueSetup[],
): Promise<RogueProvider[]> {
  const rogues: RogueProvider[] = [];
  for (const setup of setups) rogues.push(stack.use(await RogueProvider.start(requester.address(), setup)));
  await knowsProviders(requester, honest.length + setups.length);
  return rogues;
}

export async function describeDraft(node: LiveNode, change: Partial<JobDraft> = {}): Promise<JobDraft> {
  const { blob, sizeBytes } = await node.blobs.put(encodeUtf8('\0asm module'));
  return {
    name: 'live',
    deadlineMs: UnixMs(Date.now() + 60_000),
    capabilityClass: 'cpu',
    workload: {
      kind: 'wasm',
      module: blob,
      moduleSizeBytes: sizeBytes,
      abi: 'fogproof',
      arguments: [],
      environment: {},
      seed: new Uint8Array(32),
    },
    inputs: [],
    resources: { memoryBytes: 65_536, fuel: 1_000, wallTimeMs: 10_000, outputBytes: 10_000_000, logBytes: 1_000 },
    isolation: 'process',
    replication: { replicas: 1, quorum: 1, diversity: 'peer' },
    retries: 3,
    market: 'direct',
    priceCeiling: '0',
    ...change,
  };
}

export function replicas(count: number, quorum: number): Pick<JobDraft, 'replication'> {
  return { replication: { replicas: count, quorum, diversity: 'peer' } };
}

export async function runJob(node: LiveNode, change: Partial<JobDraft> = {}, timeoutMs = 20_000): Promise<JobView> {
  const { job } = await node.requester.submit(await describeDraft(node, change));
  return await node.requester.wait(job, { signal: AbortSignal.timeout(timeoutMs) });
}
