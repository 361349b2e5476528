import type { BlobStat, BlobStore } from '../../src/blob/interface.ts';
import type { BlobId, JobId, LeaseId, PeerKey, UnixMs } from '../../src/domain/ids.ts';
import { computeRawCid } from '../../src/lib/cid.ts';
import { SystemClock } from '../../src/lib/clock.ts';
import type { RpcMethodName, RpcMethods } from '../../src/rpc/interface.ts';
import type { HandlerModules } from '../../src/rpc/methods/handlers.ts';
import { EXAMPLE_JOB, EXAMPLE_PEER } from '../../src/rpc/schema/common.ts';
import { EXAMPLE_JOB_VIEW } from '../../src/rpc/schema/job-views.ts';
import { METHOD_SCHEMAS } from '../../src/rpc/schema/table.ts';
import type { JobEvent, JobView } from '../../src/scheduler/interface.ts';

/** The example of a method's schema, in memory. */
export function exampleResult<Name extends RpcMethodName>(name: Name): RpcMethods[Name]['result'] {
  return METHOD_SCHEMAS[name].result.parse(METHOD_SCHEMAS[name].example.result) as RpcMethods[Name]['result'];
}

export const EXAMPLE_VIEW = exampleResult('job.show');
export const JOB = EXAMPLE_JOB as JobId;
export const PEER = EXAMPLE_PEER as PeerKey;

/** Blobs in memory. */
export class MemoryBlobs implements BlobStore {
  readonly blobs = new Map<string, Uint8Array>();
  readonly files: string[] = [];

  async put(bytes: Uint8Array): Promise<BlobStat> {
    const blob = computeRawCid(bytes).toString() as BlobId;
    this.blobs.set(blob, bytes);
    return { blob, sizeBytes: bytes.length };
  }
  async putFile(path: string): Promise<BlobStat> {
    this.files.push(path);
    return this.put(new TextEncoder().encode(path));
  }
  async stat(blob: BlobId): Promise<BlobStat | undefined> {
    const bytes = this.blobs.get(blob);
    return bytes === undefined ? undefined : { blob, sizeBytes: bytes.length };
  }
  async get(blob: BlobId): Promise<Uint8Array> {
    return this.blobs.get(blob) ?? new Uint8Array();
  }
  async read(blob: BlobId, offset: number, length: number): Promise<Uint8Array | undefined> {
    return this.blobs.get(blob)?.subarray(offset, offset + length);
  }
  async receive(): Promise<void> {}
  pin(): Disposable {
    return { [Symbol.dispose]: () => {} };
  }
}

/** A view whose result has these outputs. */
export function viewWithOutputs(outputs: readonly (BlobStat & { readonly path: string })[]): JobView {
  const result = EXAMPLE_VIEW.result;
  return { ...EXAMPLE_VIEW, result: result === null ? null : { ...result, outputs: [...outputs] } };
}

export const exampleLog = (text: string, fields: { lease?: string; replica?: number } = {}): JobEvent => ({
  kind: 'log',
  job: JOB,
  lease: (fields.lease ?? EXAMPLE_JOB_VIEW.attempts[0]?.lease) as LeaseId,
  replica: fields.replica ?? 0,
  atMs: 1_790_000_000_000 as UnixMs,
  stream: 'stdout',
  text,
});

/** A daemon of examples; single parts are given by the test. */
export function createFakeModules(parts: Partial<HandlerModules> = {}): HandlerModules & { readonly blobs: BlobStore } {
  const view = async (): Promise<JobView> => EXAMPLE_VIEW;
  return {
    clock: new SystemClock(),
    node: {
      status: async () => exampleResult('node.status'),
      stop: () => {},
      renderMetrics: async () => '# no metrics\n',
    },
    requester: {
      batches: {
        open: async () => exampleResult('batch.show'),
        submit: async (_, entries) => entries.map(() => JOB),
        show: async () => exampleResult('batch.show'),
        list: async () => [exampleResult('batch.show')],
        jobs: async () => exampleResult('batch.jobs').jobs,
        cancel: async () => exampleResult('batch.show'),
        async *follow() {
          yield exampleResult('batch.show');
        },
      },
      submit: view,
      submitMany: async (drafts) => drafts.map(() => JOB),
      show: view,
      explain: async () => exampleResult('job.explain'),
      list: async () => [EXAMPLE_VIEW],
      cancel: view,
      pause: view,
      resume: view,
      checkpoints: async () => [],
      async *events() {
        yield exampleLog('hello\n');
      },
      wait: view,
      openOutput: (_job, _path, stored) => stored,
      evidence: async () => ({ job: {} as never, attempts: [], commitmentSet: null, missingReplicas: [] }),
    },
    ratings: { rate: async () => exampleResult('job.rate') },
    provider: {
      status: () => exampleResult('node.status').provider,
      explainNoWork: async () => exampleResult('node.whyNoWork'),
      drain: async () => {},
      close: async () => {},
      open: async () => {},
      panic: async () => 0,
    },
    operator: {
      drain: async () => {},
      resume: async () => {},
      panic: async () => exampleResult('node.panic'),
    },
    network: {
      peers: { list: () => [], get: () => undefined, providers: () => [], onChange: () => ({ [Symbol.dispose]() {} }) },
      neighbours: {
        status: () => exampleResult('neighbours.list'),
        verify: async () => exampleResult('neighbours.verify').checks,
        isNeighbour: () => null,
        onChange: () => ({ [Symbol.dispose]() {} }),
      },
      connect: async () => PEER,
      status: () => exampleResult('node.status').network,
    },
    backups: {
      async *create({ path }) {
        yield { kind: 'progress', files: 3, bytes: 4096 };
        yield { kind: 'done', path, files: 3, bytes: 4096, entries: 7, missing: 0, remarks: ['Keep it safe.'] };
      },
    },
    blobs: new MemoryBlobs(),
    blobControl: {
      listBlobs: () => [],
      usage: () => ({ blobs: 0, bytes: 0, limitBytes: 1 }),
      isPrivate: () => false,
      isPublic: () => false,
      share: async () => {},
      unshare: async () => true,
      remove: async () => true,
      verify: async () => exampleResult('blob.verify'),
      fetch: async () => exampleResult('blob.fetch'),
      readFolder: async () => exampleResult('blob.folder'),
    },
    bundles: { exportFile: async () => exampleResult('bundle.export') },
    chain: {
      wallet: async () => exampleResult('wallet.show'),
      airdrop: async () => exampleResult('wallet.airdrop'),
      listAnchors: async (limit) => exampleResult('anchor.list').anchors.slice(0, limit),
      flushAnchors: async () => exampleResult('anchor.flush').anchor,
      verifyAnchors: async () => exampleResult('anchor.verify').checks,
    },
    reputation: {
      self: PEER,
      show: async () => exampleResult('reputation.show').report,
      explain: async () => exampleResult('reputation.show').observations,
      list: async () => exampleResult('reputation.list').peers,
    },
    ...parts,
  };
}
