import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type BuiltImage, buildImage, buildLayer } from '../scripts/build-image.ts';
import type { PeerKey } from '../src/domain/ids.ts';
import { SystemClock } from '../src/lib/clock.ts';
import type { ExecutionTask, Executor } from '../src/sandbox/interface.ts';
import { NoopLogger } from '../src/telemetry/noop-logger.ts';
import { NoopMetricsRegistry } from '../src/telemetry/noop-metrics.ts';
import { runInside, runOutside, toRate } from './inside-outside.ts';
import { DIST } from './load-executor.ts';
import { atLeast, atMost, type BenchRow, percentile } from './rows.ts';

const STARTS = 30;
const ROUNDS = 5;
const MEBIBYTE = 2 ** 20;

/** Start of a container against the same runtime alone, and a program that computes, inside against outside. */
export async function benchContainer(folder: string, program: string, turns: string): Promise<readonly BenchRow[]> {
  const loaded = await loadContainerExecutor(join(folder, 'images'));
  if (loaded === null) return [];
  await using executor = loaded.executor;
  const built = buildImage([await buildLayer([{ name: 'program', mode: 0o755, content: readFileSync(program) }])], {
    Entrypoint: ['/program'],
  });
  await using hiding = await hideGroups(loaded.name);
  const bare = [...hiding.enter, ...prepareBare(folder, program, loaded.runtime)];
  await runInside(executor, createTask(built, []));
  const starts: { inside: number[]; outside: number[] } = { inside: [], outside: [] };
  // In turns, so that a busy machine slows both.
  for (let index = 0; index < STARTS; index += 1) {
    starts.outside.push((await runOutside([...bare, `bench-${process.pid}-${index}`])).atMs);
    starts.inside.push((await runInside(executor, createTask(built, []))).atMs);
  }
  const rates: { inside: number[]; outside: number[] } = { inside: [], outside: [] };
  for (let round = 0; round < ROUNDS; round += 1) {
    rates.outside.push(toRate((await runOutside([program, turns])).text, turns));
    rates.inside.push(toRate((await runInside(executor, createTask(built, [turns]))).text, turns));
  }
  return [
    {
      name: 'a container has started',
      value: percentile(starts.inside, 0.5),
      unit: 'ms',
      baseline: { name: `in bare ${loaded.name}`, value: percentile(starts.outside, 0.5) },
      goal: atMost(1.2, 'ratio'),
    },
    {
      name: 'a program that computes, in a container',
      value: percentile(rates.inside, 0.5),
      unit: 'M turns / s',
      baseline: { name: 'outside', value: percentile(rates.outside, 0.5) },
      goal: atLeast(0.97, 'ratio'),
    },
  ];
}

interface LoadedExecutor {
  readonly executor: Executor;
  readonly name: string;
  readonly runtime: string;
}

async function loadContainerExecutor(imagesFolder: string): Promise<LoadedExecutor | null> {
  const load = async <Module>(name: string): Promise<Module> =>
    (await import(join(DIST, `executors/container/${name}.js`))) as Module;
  const { probeContainer } =
    await load<typeof import('../src/sandbox/executors/container/probe-container.ts')>('probe-container');
  const { ContainerExecutor } =
    await load<typeof import('../src/sandbox/executors/container/container-executor.ts')>('container-executor');
  const { DEFAULT_CONTAINER_OPTIONS } =
    await load<typeof import('../src/sandbox/executors/container/options.ts')>('options');
  const clock = new SystemClock();
  const probe = await probeContainer(clock);
  if (probe.kind === 'fails') return null;
  const { offer } = probe;
  const modules = { clock, logger: new NoopLogger(), metrics: new NoopMetricsRegistry() };
  const executor = new ContainerExecutor(modules, { ...DEFAULT_CONTAINER_OPTIONS, maxCpus: 2000, imagesFolder, offer });
  return { executor, name: offer.runtime.name, runtime: offer.runtime.path };
}

/**
 * crun 1.8 starts nothing alone where the host has both versions of control groups. It is then started in a mount namespace that
 * hides them; to enter that takes less than a millisecond, which counts as its own.
 */
async function hideGroups(name: string): Promise<AsyncDisposable & { readonly enter: readonly string[] }> {
  if (name !== 'crun' || process.getuid?.() !== 0 || !existsSync('/sys/fs/cgroup/unified')) {
    return { enter: [], [Symbol.asyncDispose]: () => Promise.resolve() };
  }
  const script = 'mount -t tmpfs none /sys/fs/cgroup && echo ready && exec sleep 600';
  const child = spawn('unshare', ['--mount', 'sh', '-c', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  return {
    enter: ['nsenter', `--mount=/proc/${child.pid}/ns/mnt`],
    [Symbol.asyncDispose]: async () => {
      const ended = once(child, 'exit');
      child.kill('SIGKILL');
      await ended;
    },
  };
}

/** A bundle as `crun spec` writes it, made smaller: the namespaces, no list of calls, no limits. */
function prepareBare(folder: string, program: string, runtime: string): readonly string[] {
  const bundle = mkdtempSync(join(folder, 'bundle-'));
  mkdirSync(join(bundle, 'rootfs'));
  for (const name of ['proc', 'dev']) mkdirSync(join(bundle, 'rootfs', name));
  writeFileSync(join(bundle, 'rootfs/program'), readFileSync(program), { mode: 0o755 });
  const namespaces = ['mount', 'pid', 'network', 'ipc', 'uts', ...(process.getuid?.() === 0 ? [] : ['user'])];
  const mapping = [{ containerID: 0, hostID: process.getuid?.() ?? 0, size: 1 }];
  const config = {
    ociVersion: '1.0.2',
    process: { user: { uid: 0, gid: 0 }, args: ['/program'], env: ['PATH=/'], cwd: '/', noNewPrivileges: true },
    root: { path: 'rootfs', readonly: true },
    mounts: [
      { destination: '/proc', type: 'proc', source: 'proc' },
      { destination: '/dev', type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'mode=755', 'size=65536k'] },
    ],
    linux: {
      namespaces: namespaces.map((type) => ({ type })),
      ...(process.getuid?.() === 0 ? {} : { uidMappings: mapping, gidMappings: mapping }),
    },
  };
  writeFileSync(join(bundle, 'config.json'), JSON.stringify(config));
  const isCrun = runtime.endsWith('crun');
  const options = isCrun ? ['--cgroup-manager=disabled'] : [];
  return [runtime, ...options, '--root', join(folder, 'state'), 'run', '--bundle', bundle];
}

function createTask({ image, source }: BuiltImage, words: readonly string[]): ExecutionTask {
  return {
    requester: 'bench' as PeerKey,
    isolation: 'bubblewrap',
    workload: {
      kind: 'container',
      image,
      entrypoint: null,
      arguments: [...words],
      environment: {},
      workingFolder: null,
      limits: { cpus: 2000, processes: 16, scratchBytes: MEBIBYTE },
    },
    module: null,
    image: source,
    inputs: [],
    resources: { memoryBytes: 64 * MEBIBYTE, fuel: null, wallTimeMs: 60_000, outputBytes: MEBIBYTE, logBytes: 65_536 },
    checkpoints: null,
    resume: null,
  };
}
