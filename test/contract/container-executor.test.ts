import { chmodSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type BuiltImage, buildImage, buildLayer, createSource, digestOf } from '../../scripts/build-image.ts';
import type { ContainerWorkload, Resources } from '../../src/domain/job.ts';
import { blobOfDigest } from '../../src/domain/oci-image.ts';
import { SystemClock } from '../../src/lib/clock.ts';
import { SandboxError } from '../../src/sandbox/errors.ts';
import { ContainerExecutor } from '../../src/sandbox/executors/container/container-executor.ts';
import { DEFAULT_CONTAINER_OPTIONS } from '../../src/sandbox/executors/container/options.ts';
import { probeContainer } from '../../src/sandbox/executors/container/probe-container.ts';
import { RUNTIME_NAMES } from '../../src/sandbox/executors/container/runtime.ts';
import type { ExecutionTask, InputFile } from '../../src/sandbox/interface.ts';
import { NoopLogger } from '../../src/telemetry/noop-logger.ts';
import { NoopMetricsRegistry } from '../../src/telemetry/noop-metrics.ts';
import { findBusybox, packBusybox } from '../support/busybox.ts';
import { describeIf } from '../support/needs.ts';
import { ALICE, RecordingSink } from '../support/sandbox.ts';

const clock = new SystemClock();
const busybox = findBusybox();
const MEBIBYTE = 2 ** 20;

interface Parts {
  readonly resources?: Partial<Resources>;
  readonly workload?: Partial<ContainerWorkload>;
  readonly inputs?: readonly InputFile[];
  readonly built?: BuiltImage;
}

/** What src/sandbox/interface.ts asks of every executor, as far as a container has it: neither fuel, steps nor checkpoints. */
for (const name of RUNTIME_NAMES) {
  const probe = await probeContainer(clock, name);
  const isMet = probe.kind === 'works' && busybox !== undefined;
  const reason = `bubblewrap, user namespaces, ${name} and busybox (scripts/setup)`;
  describeIf({ isMet, kind: 'host', reason }, `Executor of containers with ${name}`, () => {
    let executor: ContainerExecutor;
    let imagesFolder: string;
    let shell: BuiltImage;
    const open = (): ContainerExecutor =>
      new ContainerExecutor(
        { clock, logger: new NoopLogger(), metrics: new NoopMetricsRegistry() },
        {
          ...DEFAULT_CONTAINER_OPTIONS,
          maxCpus: 2000,
          imagesFolder,
          offer: probe.kind === 'works' ? probe.offer : null,
        },
      );
    const createTask = (
      script: string,
      { resources, workload, inputs = [], built = shell }: Parts = {},
    ): ExecutionTask => ({
      requester: ALICE,
      isolation: 'bubblewrap',
      workload: {
        kind: 'container',
        image: built.image,
        entrypoint: ['/bin/sh', '-c'],
        arguments: [script],
        environment: {},
        workingFolder: null,
        limits: { cpus: 1000, processes: 16, scratchBytes: MEBIBYTE },
        ...workload,
      },
      module: null,
      image: built.source,
      inputs,
      resources: {
        memoryBytes: 64 * MEBIBYTE,
        fuel: null,
        wallTimeMs: 30_000,
        outputBytes: MEBIBYTE,
        logBytes: 100_000,
        ...resources,
      },
      checkpoints: null,
      resume: null,
    });
    const run = async (script: string, parts?: Parts) =>
      await executor.execute(createTask(script, parts), new RecordingSink(), {});
    const say = async (script: string, parts?: Parts): Promise<readonly string[]> => {
      const sink = new RecordingSink();
      const { outcome } = await executor.execute(createTask(script, parts), sink, {});
      return outcome.kind === 'completed' ? sink.events : [...sink.events, JSON.stringify(outcome)];
    };

    beforeAll(async () => {
      imagesFolder = mkdtempSync(join(tmpdir(), 'fogproof-images-'));
      chmodSync(imagesFolder, 0o711);
      shell = buildImage([await packBusybox(busybox ?? '')], {
        Env: ['FROM_IMAGE=yes', 'HOME=/root'],
        Cmd: ['/bin/true'],
      });
      executor = open();
    });
    afterAll(async () => {
      await executor[Symbol.asyncDispose]();
      rmSync(imagesFolder, { recursive: true, force: true });
    });

    it('offers its level, and says which image it was, what ran it and what held it', async () => {
      expect(executor.isolation).toEqual(['bubblewrap']);
      const { report } = await run('true');
      expect(report).toMatchObject({ executor: 'container', isolation: 'bubblewrap', image: shell.image.digest });
      expect(report.engine).toMatch(new RegExp(`^${name} \\d.* in bubblewrap \\d.*, linux `));
      expect(report.controls).toEqual(
        expect.arrayContaining([
          'oci-runtime',
          'read-only-root',
          'seccomp',
          'pid-namespace',
          'capabilities-dropped',
          'unprivileged-user',
        ]),
      );
    });

    it('gives outputs in ascending order of path, and no fuel', async () => {
      const result = await run('mkdir /output/b; echo 2 > /output/b/x; echo 1 > /output/a; echo 3 > /output/b.txt');
      expect(result).toMatchObject({
        outcome: { kind: 'completed' },
        fuel: null,
        steps: 0,
        instrumentedModuleDigest: null,
      });
      expect(result.outputs.map(({ path, bytes }) => [path, Buffer.from(bytes).toString()])).toEqual([
        ['/output/a', '1\n'],
        ['/output/b.txt', '3\n'],
        ['/output/b/x', '2\n'],
      ]);
    });

    it('carries megabytes of input, which are read-only', async () => {
      const big = new Uint8Array(3_000_000).map((_, index) => index * 7);
      const inputs = [
        { path: '/data/z', bytes: big },
        { path: '/a', bytes: Uint8Array.of(65) },
        { path: '/empty', bytes: new Uint8Array(0) },
      ];
      const script =
        'cat /a /empty /data/z > /output/all; (echo x > /a) 2>/dev/null && exit 9; rm -f /a 2>/dev/null && exit 8; exit 0';
      const result = await run(script, { inputs, resources: { outputBytes: 4 * MEBIBYTE } });
      expect(result.outcome).toEqual({ kind: 'completed' });
      expect(Buffer.from(result.outputs[0]?.bytes ?? []).equals(Buffer.concat([Uint8Array.of(65), big]))).toBe(true);
    });

    it('sees the environment of the image and of the job, and nothing of the node’s or the runtime’s', async () => {
      const lines = await say('env', { workload: { environment: { MINE: 'yes', HOME: '/x' } } });
      const names = ['PWD=', 'SHLVL=', 'OLDPWD='];
      expect(lines.filter((line) => !names.some((each) => line.includes(each))).toSorted()).toEqual(
        [
          'FROM_IMAGE=yes',
          'HOME=/x',
          'MINE=yes',
          'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
        ].map((line) => `stdout: ${line}`),
      );
    });

    it('runs what the image says where the job does not, in its folder', async () => {
      const own = buildImage([await packBusybox(busybox ?? '')], {
        Entrypoint: ['/bin/echo', 'hello'],
        Cmd: ['image'],
        WorkingDir: '/bin',
      });
      const workload = { entrypoint: null, arguments: [] };
      expect(await say('', { built: own, workload })).toEqual(['stdout: hello image']);
      expect(await say('', { built: own, workload: { ...workload, arguments: ['job'] } })).toEqual([
        'stdout: hello job',
      ]);
      expect(await say('pwd', { built: own })).toEqual(['stdout: /bin']);
      expect(await say('pwd', { built: own, workload: { workingFolder: '/tmp' } })).toEqual(['stdout: /tmp']);
    });

    it('is root of the image at most inside, and nobody outside', async () => {
      const lines = await say(
        'id -u; id -g; cat /proc/self/uid_map; grep -E "^Cap(Eff|Bnd|Amb)|NoNewPrivs" /proc/self/status',
      );
      expect(lines.slice(0, 2)).toEqual(['stdout: 0', 'stdout: 0']);
      expect(lines[2]?.split(/\s+/).slice(1)).toEqual(['0', '65534', '1']);
      expect(lines.slice(3).map((line) => line.split(/\s+/).at(-1))).toEqual([
        ...new Array(3).fill('0000000000000000'),
        '1',
      ]);
    });

    it('is the user of the image, or says why it cannot be', async () => {
      const files = await buildLayer([
        { name: 'etc/passwd', content: 'root:x:0:0::/:/bin/sh\nworker:x:1234:77::/:/bin/sh\n' },
        { name: 'etc/group', content: 'makers:x:99:\n' },
      ]);
      const layers = [await packBusybox(busybox ?? ''), files];
      const asUser = async (user: string) =>
        await say('echo $(id -u) $(id -g)', { built: buildImage(layers, { User: user }) });
      if (name === 'crun') {
        expect(await asUser('worker')).toEqual(['stdout: 1234 77']);
        expect(await asUser('worker:makers')).toEqual(['stdout: 1234 99']);
        expect(await asUser('4000000000:5')).toEqual(['stdout: 4000000000 5']);
      } else await expect(asUser('worker')).rejects.toMatchObject({ code: 'SANDBOX_RUNTIME_USER' });
      expect((await asUser('nobody-here')).join()).toContain('PROGRAM_REFUSED');
    });

    it.each<readonly [string, string, string, Parts]>([
      ['EXIT_CODE', '7', 'exit 7', {}],
      ['EXIT_CODE', '137', '/bin/sh -c "kill -9 \\$\\$"; exit $?', {}],
      ['EXIT_CODE', '1', 'echo "runtime-: lies" >&2; exit 1', {}],
      ['LOG_LIMIT', '', 'yes', { resources: { logBytes: 100 } }],
      [
        'OUTPUT_LIMIT',
        'larger than resources.output',
        'head -c 101 /dev/zero > /output/x',
        { resources: { outputBytes: 100 } },
      ],
      ['OUTPUT_REFUSED', '/output/x is a symbolic link', 'ln -s /bin/sh /output/x', {}],
      ['PROGRAM_REFUSED', 'nobody-has-this', '', { workload: { entrypoint: ['/bin/nobody-has-this'] } }],
      ['PROGRAM_REFUSED', 'cannot be started', '', { workload: { entrypoint: ['/bin'] } }],
      [
        'PROGRAM_REFUSED',
        'cannot be started',
        '',
        { workload: { entrypoint: ['/input'] }, inputs: [{ path: '/input', bytes: Uint8Array.of(1) }] },
      ],
      ['PROGRAM_REFUSED', 'cannot be started', 'true', { workload: { workingFolder: '/nowhere' } }],
      ['PROGRAM_REFUSED', 'an input lies in /bin', '', { inputs: [{ path: '/bin/x', bytes: new Uint8Array(1) }] }],
      ['MEMORY_LIMIT', '', 'head -c 400000000 /dev/zero | tail', {}],
    ])('reports %s (%s) as a result of the program', async (code, detail, script, parts) => {
      const { outcome } = await run(script, parts);
      expect(outcome).toMatchObject({ kind: 'program-failed', code });
      expect(outcome).toHaveProperty('detail', expect.stringContaining(detail));
      expect((await run('true')).outcome).toEqual({ kind: 'completed' });
    });

    it('refuses an image that is another than it says, and leaves nothing of it', async () => {
      const before = readdirSync(imagesFolder);
      const [layer = new Uint8Array(0)] = shell.layers;
      const changed = Uint8Array.from(layer, (byte, index) => (index === layer.length - 9 ? byte ^ 1 : byte));
      const { image, manifest, config } = buildImage([await packBusybox(busybox ?? '')], { Env: ['OTHER=image'] });
      const source = createSource(manifest, config, [changed]);
      const built = { image, source, manifest, config, layers: [changed] };
      expect((await run('true', { built })).outcome).toMatchObject({ kind: 'program-failed', code: 'PROGRAM_REFUSED' });
      expect(
        (await run('true', { built: { ...shell, source: createSource(config, config, []) } })).outcome,
      ).toMatchObject({
        code: 'PROGRAM_REFUSED',
        detail: expect.stringContaining('digest'),
      });
      const foreign = { ...shell, image: { ...shell.image, layers: [] } };
      expect((await run('true', { built: foreign })).outcome).toMatchObject({
        detail: expect.stringContaining('other layers'),
      });
      expect(readdirSync(imagesFolder)).toEqual(before);
    });

    it('does not run what it has unpacked for who names its digest and has other layers', async () => {
      expect((await run('true')).outcome).toEqual({ kind: 'completed' });
      const { image, manifest, config } = shell;
      const own = Uint8Array.of(1, 2, 3);
      const layers = image.layers.map((layer) => ({ ...layer, blob: blobOfDigest(digestOf(own)) }));
      const built = { ...shell, image: { ...image, layers }, source: createSource(manifest, config, [own]) };
      expect((await run('true', { built })).outcome).toMatchObject({ kind: 'program-failed', code: 'PROGRAM_REFUSED' });
    });

    it('kills what runs too long, with all that it has started, and goes on', async () => {
      const result = await run('sleep 1000 & setsid sleep 1000 & sleep 1000', { resources: { wallTimeMs: 300 } });
      expect(result.outcome).toMatchObject({ kind: 'attempt-failed', code: 'WALL_TIME' });
      expect((await run('true')).outcome).toEqual({ kind: 'completed' });
    });

    it('is cancelled by its signal, before and while it runs', async () => {
      const early = await executor.execute(createTask('true'), new RecordingSink(), { signal: AbortSignal.abort() });
      expect(early.outcome).toMatchObject({ kind: 'attempt-failed', code: 'CANCELLED' });
      const controller = new AbortController();
      const sink = new RecordingSink();
      sink.onProgress = () => controller.abort();
      const late = await executor.execute(createTask('sleep 1000'), sink, { signal: controller.signal });
      expect(late.outcome).toMatchObject({ kind: 'attempt-failed', code: 'CANCELLED' });
    });

    it('runs no more at a time than it has slots, and all in the end', async () => {
      const results = await Promise.all(Array.from({ length: 6 }, () => run('true')));
      expect(results.map((result) => result.outcome.kind)).toEqual(new Array(6).fill('completed'));
    });

    it('throws for what the host does not give', async () => {
      const code = 'SANDBOX_LIMIT_UNAVAILABLE';
      const limits = { cpus: 1000, processes: 16, scratchBytes: MEBIBYTE };
      await expect(run('true', { resources: { memoryBytes: 5 * 2 ** 30 } })).rejects.toMatchObject({ code });
      await expect(run('true', { workload: { limits: { ...limits, processes: 9000 } } })).rejects.toMatchObject({
        code,
      });
    });

    it('refuses everything once it is closed, and kills what runs', async () => {
      const other = open();
      const sink = new RecordingSink();
      const alive = Promise.withResolvers<void>();
      sink.onProgress = alive.resolve;
      const running = other.execute(createTask('sleep 1000'), sink, {});
      await alive.promise;
      await other[Symbol.asyncDispose]();
      expect((await running).outcome.kind).toBe('attempt-failed');
      await expect(other.execute(createTask('true'), sink, {})).rejects.toBeInstanceOf(SandboxError);
    });
  });
}
