/** Runs the attempts of the request in its argument as commands or containers, as whichever user starts it, and prints how they ended. */
import { readFileSync } from 'node:fs';
import { buildImage, buildLayer, type LayerItem, packLayer } from '../../../../scripts/build-image.ts';
import type { PeerKey } from '../../../../src/domain/ids.ts';
import type { Workload } from '../../../../src/domain/job.ts';
import { SystemClock } from '../../../../src/lib/clock.ts';
import { CommandExecutor } from '../../../../src/sandbox/executors/command/command-executor.ts';
import { DEFAULT_COMMAND_OPTIONS } from '../../../../src/sandbox/executors/command/options.ts';
import { probeCommand } from '../../../../src/sandbox/executors/command/probe-command.ts';
import { ContainerExecutor } from '../../../../src/sandbox/executors/container/container-executor.ts';
import { DEFAULT_CONTAINER_OPTIONS } from '../../../../src/sandbox/executors/container/options.ts';
import { probeContainer } from '../../../../src/sandbox/executors/container/probe-container.ts';
import type { ExecutionSink, Executor, ImageSource } from '../../../../src/sandbox/interface.ts';
import { NoopLogger } from '../../../../src/telemetry/noop-logger.ts';
import { NoopMetricsRegistry } from '../../../../src/telemetry/noop-metrics.ts';
import type { Attempt, AttemptEnd, RunnerRequest } from './attempts.ts';

/** struct sock_filter: BPF_RET | BPF_K, SECCOMP_RET_ALLOW. */
const ALLOW_ALL = Uint8Array.of(0x06, 0, 0, 0, 0, 0, 0xff, 0x7f);
const MEBIBYTE = 2 ** 20;

function listFiles(program: string): readonly LayerItem[] {
  const content = readFileSync(program);
  return [
    { name: 'bin/escape', mode: 0o755, content },
    // As an archive of a real system has them: owned by root, with the bit.
    { name: 'bin/setuid-escape', mode: 0o4755, uid: 0, gid: 0, content },
  ];
}

/** What can be run, and as what. */
interface Runner {
  readonly executor: Executor & AsyncDisposable;
  readonly controls: readonly string[];
  readonly module: Uint8Array | null;
  readonly image?: ImageSource;
  readonly workloadOf: (words: readonly string[], limits: Limits) => Workload;
}
type Limits = Extract<Workload, { kind: 'command' }>['limits'];

async function runAttempt({ executor, module, image, workloadOf }: Runner, attempt: Attempt): Promise<AttemptEnd> {
  const said: string[] = [];
  const sink: ExecutionSink = {
    log: (_stream, text) => {
      if (said.length < 4) said.push(text);
    },
    metric: () => {},
    progress: () => {},
    checkpoint: () => Promise.reject(new Error('a command makes no checkpoints')),
  };
  const words = [attempt.name, ...(attempt.argument === undefined ? [] : [attempt.argument])];
  const workload = workloadOf(words, { cpus: 1000, processes: 16, scratchBytes: MEBIBYTE, ...attempt.limits });
  const resources = {
    memoryBytes: 64 * MEBIBYTE,
    fuel: null,
    wallTimeMs: 20_000,
    outputBytes: MEBIBYTE,
    logBytes: 4096,
    ...attempt.resources,
  };
  const task = {
    requester: 'escape' as PeerKey,
    isolation: 'bubblewrap',
    workload,
    module,
    image,
    inputs: [],
    resources,
  } as const;
  const result = await executor.execute({ ...task, checkpoints: null, resume: null }, sink, {});
  const { outcome, outputs, usage } = result;
  return {
    name: attempt.name,
    label: attempt.label ?? attempt.name,
    end: outcome.kind === 'completed' ? 'completed' : outcome.code,
    detail: outcome.kind === 'completed' ? '' : outcome.detail,
    said: said.join('\n'),
    outputs: outputs.map(({ path, bytes }) => ({ path, text: Buffer.from(bytes).toString('latin1').slice(0, 200) })),
    wallTimeMs: usage.wallTimeMs,
  };
}

async function openCommands({ program, rootsFolder, isFiltered }: RunnerRequest): Promise<Runner | string> {
  const probe = await probeCommand(clock);
  if (probe.kind === 'fails') return probe.reason;
  const { offer } = probe;
  const module = await packLayer(listFiles(program));
  return {
    executor: new CommandExecutor(modules, {
      ...DEFAULT_COMMAND_OPTIONS,
      maxCpus: 1000,
      rootsFolder,
      offer: isFiltered ? offer : { ...offer, filter: ALLOW_ALL },
    }),
    controls: offer.controls,
    module,
    workloadOf: (words, limits) => ({
      kind: 'command',
      root: { kind: 'archive', blob: 'bafkreitest' as never, sizeBytes: module.length },
      program: '/bin/escape',
      arguments: [...words],
      environment: {},
      limits,
    }),
  };
}

async function openContainers({ program, rootsFolder, isFiltered }: RunnerRequest): Promise<Runner | string> {
  // As another user than root of the image, to whom becoming root would be something; crun alone can do that.
  const probe = await probeContainer(clock, 'crun');
  if (probe.kind === 'fails') return probe.reason;
  const { offer } = probe;
  const { image, source } = buildImage([await buildLayer(listFiles(program))], {
    Entrypoint: ['/bin/escape'],
    User: '4321:4321',
  });
  return {
    executor: new ContainerExecutor(modules, {
      ...DEFAULT_CONTAINER_OPTIONS,
      maxCpus: 1000,
      imagesFolder: rootsFolder,
      offer: isFiltered ? offer : { ...offer, seccomp: null },
    }),
    controls: offer.controls,
    module: null,
    image: source,
    workloadOf: (words, limits) => ({
      kind: 'container',
      image,
      entrypoint: null,
      arguments: [...words],
      environment: {},
      workingFolder: null,
      limits,
    }),
  };
}

const request = JSON.parse(process.argv[2] ?? '{}') as RunnerRequest;
const clock = new SystemClock();
const modules = { clock, logger: new NoopLogger(), metrics: new NoopMetricsRegistry() };
const runner = request.kind === 'command' ? await openCommands(request) : await openContainers(request);
if (typeof runner === 'string') {
  console.log(JSON.stringify({ reason: runner }));
} else {
  await using _executor = runner.executor;
  const ends: AttemptEnd[] = [];
  for (const attempt of request.attempts) ends.push(await runAttempt(runner, attempt));
  console.log(JSON.stringify({ ends, controls: runner.controls }));
}
