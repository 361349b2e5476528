import { PackedSnapshotStore } from '../../src/blob/snapshots/packed-snapshot-store.ts';
import type { AttestRequest, AttestResponse } from '../../src/domain/confidential.ts';
import type { PeerKey } from '../../src/domain/ids.ts';
import { encodeUtf8 } from '../../src/lib/bytes.ts';
import { SystemClock } from '../../src/lib/clock.ts';
import { SystemRandom } from '../../src/lib/random.ts';
import type { PeerTransport } from '../../src/network/interface.ts';
import { BlobGrants, serveBlobs } from '../../src/scheduler/blob-access.ts';
import type { JobDraft, JobEvent, JobExplanation, JobView } from '../../src/scheduler/interface.ts';
import { type ConfidentialOptions, JOB_REQUESTER_DEFAULTS } from '../../src/scheduler/options.ts';
import { JobRequester } from '../../src/scheduler/requester/job-requester.ts';
import { SnapshotFetcher } from '../../src/scheduler/snapshots/snapshot-fetcher.ts';
import { BlobTransfers } from '../../src/scheduler/transfer/blob-transfers.ts';
import type { Confidentiality, JobSecrets, SecretsSealing } from '../../src/tee/interface.ts';
import { NoopLogger } from '../../src/telemetry/noop-logger.ts';
import { describeDraft, RunningClock } from './both-sides.ts';
import { collect } from './confidential-work.ts';
import { MemoryDatabase } from './memory-database.ts';
import { MemoryDisk } from './memory-disk.ts';
import { HeapBlobStore } from './provider-blobs.ts';
import { type Behaviour, ScriptedExecutor } from './provider-executor.ts';
import { identityOf, MODULE, NETWORK, PARAMETERS, ProviderRig, SummingMetrics } from './provider-rig.ts';
import { Switchboard } from './provider-transport.ts';
import { describeRecord, FakePeerBook } from './requester-rig.ts';
import { TestTee } from './simulated-tee.ts';

/** What stands between the requester and a provider, and may answer in its place. */
export type Middle = (
  request: AttestRequest,
  forward: (request: AttestRequest) => Promise<AttestResponse>,
  provider: PeerKey,
) => Promise<AttestResponse>;

export interface ConfidentialSidesOptions {
  readonly providers?: number;
  /** Providers that run in no environment at all. */
  readonly plainProviders?: number;
  readonly options?: Partial<ConfidentialOptions>;
  readonly behaviour?: Behaviour;
  /** Lies in the name of the first provider only. */
  readonly middle?: Middle;
}

const STORE_KEY = new Uint8Array(32).fill(0x77);
const patience = () => AbortSignal.timeout(20_000);

/** Gives its only input back, and prints it. */
export const PARROT: Behaviour = ({ task, sink, finish }) => {
  const bytes = task.inputs[0]?.bytes ?? new Uint8Array();
  sink.log('stdout', new TextDecoder().decode(bytes), 1);
  finish({ outputs: [{ path: '/out.txt', bytes: bytes.slice() }] });
};

/** A requester of confidential jobs and some providers as they are in a daemon, joined in memory; programs are scripted. */
export class ConfidentialSides implements AsyncDisposable {
  readonly tee = new TestTee();
  readonly blobs = new HeapBlobStore();
  readonly rigs: ProviderRig[] = [];
  /** What was sealed for whom, as it was then. */
  readonly released: SecretsSealing[] = [];
  /** The arrays that were sealed. */
  readonly used: JobSecrets[] = [];
  readonly asked: AttestRequest[] = [];
  readonly peers = new FakePeerBook();
  readonly database = new MemoryDatabase();
  readonly metrics = new SummingMetrics();
  readonly #switchboard = new Switchboard();
  readonly #options: ConfidentialSidesOptions;
  readonly #grants = new BlobGrants();
  #transport: PeerTransport | undefined;
  #requester: JobRequester | undefined;

  private constructor(options: ConfidentialSidesOptions) {
    this.#options = options;
  }

  static async start(options: ConfidentialSidesOptions = {}): Promise<ConfidentialSides> {
    const sides = new ConfidentialSides(options);
    await sides.blobs.put(MODULE);
    const { providers = 1, plainProviders = 0 } = options;
    for (let index = 0; index < providers + plainProviders; index += 1) await sides.#addProvider(index < providers);
    await sides.startRequester();
    return sides;
  }

  get requester(): JobRequester {
    if (this.#requester === undefined) throw new TypeError('the requester does not run');
    return this.#requester;
  }

  async #addProvider(isConfidential: boolean): Promise<void> {
    const index = this.rigs.length;
    const confidential = { confidentiality: this.tee.createConfidentiality(), producer: this.tee };
    const rig = await ProviderRig.start({
      switchboard: this.#switchboard,
      seed: 11 + index,
      clock: new RunningClock(),
      executor: new ScriptedExecutor(['process', 'bubblewrap'], this.#options.behaviour ?? PARROT),
      ...(isConfidential ? { confidential } : {}),
    });
    this.rigs.push(rig);
    // The cheapest is asked first.
    const pricesPerHour = [{ capabilityClass: 'tee' as const, price: String(index) }];
    this.peers.add(
      describeRecord(rig.identity.peer, { network: NETWORK, capabilities: ['cpu', 'tee'], pricesPerHour }),
    );
  }

  /** A new one takes up what is in the database. */
  async startRequester(): Promise<void> {
    const identity = await identityOf(99);
    const { database, blobs, peers, metrics } = this;
    const common = { database, blobs, metrics, clock: new SystemClock(), logger: new NoopLogger() };
    const snapshots = new PackedSnapshotStore(
      { ...common, disk: new MemoryDisk() },
      { folder: 'memory', maxBytes: 1e6 },
    );
    await snapshots.start();
    if (this.#transport === undefined) {
      this.#transport = this.#interpose(this.#switchboard.join(identity.peer));
      serveBlobs(this.#transport, { blobs, snapshots }, this.#grants);
    }
    const transport = this.#transport;
    const requester = new JobRequester(
      {
        ...common,
        identity,
        network: { transport, peers },
        transfers: new BlobTransfers({ ...common, transport }),
        snapshots: { store: snapshots, source: new SnapshotFetcher({ ...common, transport, store: snapshots }) },
        grants: this.#grants,
        random: new SystemRandom(),
        confidential: { confidentiality: this.#listen(this.tee.createConfidentiality()), storeKey: STORE_KEY },
      },
      {
        ...JOB_REQUESTER_DEFAULTS,
        networkId: NETWORK,
        parameters: PARAMETERS,
        confidential: { ...JOB_REQUESTER_DEFAULTS.confidential, hasSimulatedTee: true, ...this.#options.options },
      },
    );
    await requester.start(new AbortController().signal);
    this.#requester = requester;
  }

  #listen(confidentiality: Confidentiality): Confidentiality {
    return {
      ...confidentiality,
      sealSecrets: (sealing) => {
        const { contentKey, salts } = sealing.secrets;
        this.used.push(sealing.secrets);
        const copy = { contentKey: contentKey.slice(), salts: salts.map((salt) => salt.slice()) };
        this.released.push({ ...sealing, secrets: copy });
        return confidentiality.sealSecrets(sealing);
      },
    };
  }

  #interpose(transport: PeerTransport): PeerTransport {
    const request = async (peer: PeerKey, protocol: string, message: never, options: object): Promise<unknown> => {
      const pass = (changed: AttestRequest) => transport.request(peer, 'attest', changed, options);
      if (protocol !== 'attest') return await transport.request(peer, protocol as never, message, options);
      this.asked.push(message);
      const { middle } = this.#options;
      const isLiar = peer === this.rigs[0]?.identity.peer;
      return middle !== undefined && isLiar ? await middle(message, pass, peer) : await pass(message);
    };
    return {
      handle: (protocol, handler) => transport.handle(protocol, handler),
      stream: (...call) => transport.stream(...call),
      request: request as never,
    };
  }

  async describeDraft(text: string, change: Partial<JobDraft> = {}): Promise<JobDraft> {
    const stored = await this.blobs.put(encodeUtf8(text));
    return {
      ...describeDraft(1),
      capabilityClass: 'tee',
      priceCeiling: '1000000',
      confidential: { policy: this.tee.policy },
      inputs: [{ path: '/in', ...stored }],
      ...change,
    };
  }

  async submit(text: string, change: Partial<JobDraft> = {}): Promise<JobView> {
    return await this.requester.submit(await this.describeDraft(text, change));
  }

  async run(text: string, change: Partial<JobDraft> = {}): Promise<JobView> {
    const { job } = await this.submit(text, change);
    return await this.requester.wait(job, { signal: patience() });
  }

  /** What the first provider is answered when it asks for what is in the requester's store, but for the module. */
  async tryFetch(): Promise<readonly string[]> {
    const transport = this.rigs[0]?.transport;
    const { peer } = await identityOf(99);
    const answers: string[] = [];
    for (const [blob, bytes] of this.blobs.blobs) {
      if (bytes === MODULE) continue;
      const request = { op: 'read', blob, offset: 0, maxBytes: 1_000 } as const;
      answers.push((await transport?.request(peer, 'blob', request))?.kind ?? 'nobody');
    }
    return answers;
  }

  async explain(job: JobView['job']): Promise<JobExplanation> {
    return await this.requester.explain(job);
  }

  async readOutput({ job, result }: JobView): Promise<string> {
    const [output] = result?.outputs ?? [];
    if (output === undefined) throw new TypeError('it has no output');
    const stored = await this.blobs.get(output.blob, output.sizeBytes);
    const opened = await collect(this.requester.openOutput(job, output.path, once(stored)));
    return new TextDecoder().decode(opened);
  }

  async readEvents(job: JobView['job']): Promise<readonly JobEvent[]> {
    const events: JobEvent[] = [];
    for await (const event of this.requester.events(job, { follow: false, signal: patience() })) events.push(event);
    return events;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#requester?.stop();
    for (const rig of this.rigs) await rig.provider.stop();
  }
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
