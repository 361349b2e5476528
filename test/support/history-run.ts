import { cp, mkdir, mkdtemp, readFile, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { writeSteppingJob } from '../../scripts/crash-stepping/jobs.ts';
import { addFiles } from '../../src/cli/job/submit-plan.ts';
import { loadJobFile } from '../../src/cli/job-file/load-job-file.ts';
import type { JobId } from '../../src/domain/ids.ts';
import { SystemRandom } from '../../src/lib/random.ts';
import { runNode } from '../../src/node/run-node.ts';
import type { RpcClient } from '../../src/rpc/client.ts';
import type { NodeStatus } from '../../src/rpc/interface.ts';
import { connectSocket } from '../../src/rpc/socket-client.ts';
import type { JobDraft, JobView } from '../../src/scheduler/interface.ts';
import { runLine } from './cli-harness.ts';

const PRIVATE_BYTES = 1_500_000;
const WAIT_MS = 30_000;
const ROOT = join(import.meta.dirname, '../..');

interface RunningNode {
  readonly client: RpcClient;
  readonly status: NodeStatus;
  stop(): Promise<void>;
}

/** Whole daemons in this process, built as `node start` builds them, each with a data folder that stays when it stops. */
export class HistoryRun implements AsyncDisposable {
  readonly folder: string;
  readonly #nodes = new Map<string, RunningNode>();
  #bootstrap: readonly string[] = [];

  private constructor(folder: string) {
    this.folder = folder;
  }

  static async open(): Promise<HistoryRun> {
    const run = new HistoryRun(await mkdtemp(join(await realpath(tmpdir()), 'fp-run-')));
    await run.#line('founder', 'network create t --preset local --no-join --output ../t.json --lease 4s --renewal 1s');
    return run;
  }

  homeOf(name: string): string {
    return join(this.folder, name);
  }

  async start(name: string, overrides: Readonly<Record<string, unknown>> = {}): Promise<RpcClient> {
    const home = this.homeOf(name);
    if (!this.#nodes.has(name)) await this.#line(name, 'init --network ../t.json --no-backup --plain');
    const controller = new AbortController();
    const ready = Promise.withResolvers<NodeStatus>();
    const environment = { HOME: this.folder, PATH: process.env['PATH'] };
    const ended = runNode({
      environment,
      home,
      signal: controller.signal,
      log: 'file',
      overrides: {
        listen: ['/ip4/127.0.0.1/tcp/0'],
        mdns: false,
        bootstrap: this.#bootstrap,
        'provide.isolationForStrangers': 'process',
        ...overrides,
      },
      onReady: ready.resolve,
    });
    ended.catch(ready.reject);
    const status = await ready.promise;
    const client = await connectSocket(status.socket);
    this.#bootstrap = this.#bootstrap.length === 0 ? status.network.listen.slice(0, 1) : this.#bootstrap;
    const stop = async (): Promise<void> => {
      await client[Symbol.asyncDispose]();
      controller.abort();
      await ended;
    };
    this.#nodes.set(name, { client, status, stop });
    return client;
  }

  async stop(): Promise<void> {
    for (const node of this.#nodes.values()) await node.stop();
    this.#nodes.clear();
  }

  async untilProviders(client: RpcClient, count: number): Promise<void> {
    await this.until(`${count} providers are known`, async () => {
      const { peers } = await client.call('peers.list', {});
      return peers.filter(({ record, isConnected }) => isConnected && record?.provides === true).length >= count;
    });
  }

  /** Waits until something is so that has no event of its own. */
  async until(what: string, isSo: () => Promise<boolean>): Promise<void> {
    const deadline = performance.now() + WAIT_MS;
    while (!(await isSo())) {
      if (performance.now() > deadline) throw new TypeError(`waited ${WAIT_MS} ms in vain until ${what}`);
      await sleep(20);
    }
  }

  /** The hello job, its text changed. */
  async draftHello(client: RpcClient, name: string, change: (text: string) => string): Promise<JobDraft> {
    const folder = join(this.folder, 'files', name);
    await mkdir(folder, { recursive: true });
    const source = join(ROOT, 'examples/hello');
    await cp(join(source, 'build'), join(folder, 'build'), { recursive: true });
    await writeFile(join(folder, 'data.bin'), new SystemRandom().bytes(PRIVATE_BYTES));
    await writeFile(join(folder, 'job.yaml'), change(await readFile(join(source, 'job.yaml'), 'utf8')));
    return await this.#draft(client, join(folder, 'job.yaml'));
  }

  /** The hello job with an input of more than one leaf, which it gives back; its files are encrypted on disk. */
  async draftPrivate(client: RpcClient): Promise<JobDraft> {
    return await this.draftHello(client, 'private', (text) =>
      text
        .replace('memory: 16MiB', 'memory: 64MiB')
        .replace('fuel: 1M', 'fuel: 1G')
        .replace('output: 1MiB', 'output: 8MiB')
        .concat('private: true\ninputs: { /data.bin: data.bin }\n'),
    );
  }

  /** A job that takes many steps, with a checkpoint at each few of them. */
  async draftIsing(client: RpcClient, settings: string): Promise<JobDraft> {
    const folder = join(this.folder, 'files', 'ising');
    const file = await writeSteppingJob(folder, {
      name: 'ising',
      example: 'ising',
      module: 'ising.wasm',
      inputs: { '/settings.txt': settings },
      everySteps: 20,
    });
    return await this.#draft(client, file);
  }

  async #draft(client: RpcClient, file: string): Promise<JobDraft> {
    const plan = await loadJobFile(file, { nowMs: Date.now(), random: new SystemRandom() });
    return await addFiles(client, plan, AbortSignal.timeout(10_000));
  }

  async submit(client: RpcClient, draft: JobDraft): Promise<JobId> {
    return (await client.call('job.submit', { draft })).job;
  }

  async wait(client: RpcClient, job: JobId): Promise<JobView> {
    return await client.call('job.wait', { job });
  }

  async #line(name: string, line: string): Promise<void> {
    const home = this.homeOf(name);
    await mkdir(home, { recursive: true });
    const environment = { FOGPROOF_HOME: home, HOME: this.folder };
    const { exitCode, stderr } = await runLine(line.split(' '), { environment, workingDirectory: home });
    if (exitCode !== 0) throw new TypeError(`fogproof ${line} ended with ${exitCode}: ${stderr}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    await rm(this.folder, { recursive: true, force: true });
  }
}
