import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { buildContainerImage } from '../../scripts/build-examples.ts';
import { buildImage, buildLayer, digestOf, writeLayout } from '../../scripts/build-image.ts';
import { findStaticCompiler } from '../../scripts/build-root.ts';
import type { BundleVerification } from '../../src/bundle/interface.ts';
import { computeDataPaths } from '../../src/config/paths.ts';
import { SystemClock } from '../../src/lib/clock.ts';
import { probeContainer } from '../../src/sandbox/executors/container/probe-container.ts';
import { chooseImagesFolder } from '../../src/sandbox/roots/choose-folder.ts';
import { Mesh, type MeshNode } from '../support/mesh.ts';
import { describeIf, type Need } from '../support/needs.ts';

const JOB_FILE = join(import.meta.dirname, '../../examples/container/job.yaml');
const LAYER_BYTES = 3 * 2 ** 20;
const probe = await probeContainer(new SystemClock());
const NEED: Need = {
  isMet: probe.kind === 'works' && findStaticCompiler() !== undefined,
  kind: 'host',
  reason:
    'bubblewrap, user namespaces, crun or runc and a C compiler with a static library (scripts/setup; apt install gcc)',
};

describeIf(NEED, 'examples/container over real daemons', () => {
  let mesh: Mesh;
  let requester: MeshNode;
  let layout: string;
  const providers: MeshNode[] = [];

  beforeAll(async () => {
    layout = (await buildContainerImage({ isForced: false })) ?? '';
    mesh = await Mesh.open({}, AbortSignal.timeout(110_000));
    requester = await mesh.addNode('requester', ['--no-provide']);
    for (const name of ['ada', 'berta']) providers.push(await mesh.addNode(name));
    await mesh.untilProviders(requester, 2);
  });
  afterAll(async () => {
    const homes = providers.map(({ status }) => status.home);
    await mesh?.[Symbol.asyncDispose]();
    // Of a node run as root it is outside of the data folder.
    for (const home of homes) await rm(dirname(imagesFolder(home)), { recursive: true, force: true });
  });

  function imagesFolder(home: string): string {
    return chooseImagesFolder(home, computeDataPaths(home).images);
  }

  /** Bytes of blobs over 1 MiB that providers have fetched so far. */
  async function countReceived(): Promise<number> {
    let sum = 0;
    for (const { client } of providers) {
      const { text } = await client.call('node.metrics', {});
      sum += Number(/^fogproof_transfer_received_bytes_total (\S+)$/m.exec(text)?.[1] ?? 0);
    }
    return sum;
  }

  it('runs on two providers that agree byte for byte, and its bundle says which image it was', async () => {
    const out = mesh.stage.path('image-out');
    const submitted = await mesh.submit(requester, JOB_FILE);
    const job = await mesh.wait(requester, submitted);
    expect(job).toMatchObject({ state: 'completed', result: { fuel: null, steps: 0 } });
    expect(job.result?.agreeing).toHaveLength(2);
    await mesh.expect(requester, ['job', 'result', job.job, '--output', out]);
    expect((await readFile(join(out, 'output/bodies.csv'), 'utf8')).split('\n')).toHaveLength(402);

    const bundle = mesh.stage.path('image.bundle');
    await mesh.expect(requester, ['bundle', 'export', job.job, '--output', bundle]);
    const verified = await mesh.expect<BundleVerification>(mesh.stage.actor('stranger'), ['bundle', 'verify', bundle]);
    expect(verified.verdict).toBe('valid');
    const index = JSON.parse(await readFile(join(layout, 'index.json'), 'utf8')) as { manifests: { digest: string }[] };
    const [signed] = verified.assurances;
    expect(signed?.statement).toContain(`(container of image ${index.manifests[0]?.digest}, isolation 'bubblewrap')`);
    for (const { status } of providers) {
      expect(await readdir(imagesFolder(status.home))).toEqual([expect.stringMatching(/^[0-9a-f]{64}-\d+$/)]);
    }
    expect(await listProcesses('/bin/bodies')).toEqual([]);
  });

  it('fetches a layer once that two images of a requester have, and unpacks it in each', async () => {
    const base = await buildLayer([{ name: 'data/random', content: randomBytes(LAYER_BYTES) }]);
    const binary = await readLayer();
    const settings = await buildLayer([{ name: 'settings.txt', content: '8 10 1\n' }]);
    const other = await buildLayer([{ name: 'settings.txt', content: '16 10 1\n' }]);
    const runWith = async (name: string, own: Awaited<ReturnType<typeof buildLayer>>) => {
      const image = buildImage([base, binary, own], { Entrypoint: ['/bin/bodies'], Cmd: ['1'] });
      await writeLayout(mesh.stage.path(name), image);
      const file = mesh.stage.path(`${name}.yaml`);
      const digest = digestOf(image.manifest);
      await writeFile(
        file,
        `name: ${name}\nworkload: { kind: container, image: ${name}, digest: '${digest}' }\nreplicas: 2\ndeadline: 1m\n`,
      );
      const job = await mesh.wait(requester, await mesh.submit(requester, file));
      expect(job.state).toBe('completed');
    };
    const before = await countReceived();
    await runWith('first', settings);
    const between = await countReceived();
    expect(between - before).toBeGreaterThanOrEqual(2 * LAYER_BYTES);
    await runWith('second', other);
    expect((await countReceived()) - between).toBeLessThan(LAYER_BYTES);
  });

  it('ends the containers of a provider that is killed', async () => {
    const [ada] = providers;
    if (ada === undefined) throw new TypeError('no providers');
    const settings = mesh.stage.path('long.txt');
    await writeFile(settings, '4000 100000 1\n');
    const text = await readFile(JOB_FILE, 'utf8');
    const file = mesh.stage.path('long.yaml');
    await writeFile(file, text.replace('data/settings.txt', settings).replace('build/image', layout));
    const job = await mesh.submit(requester, file);
    await mesh.until('both run it', 30_000, async () => (await listProcesses('/bin/bodies')).length >= 6);
    const ended = once(ada.process, 'exit');
    // It alone: what it started has to notice by itself.
    process.kill(ada.status.pid, 'SIGKILL');
    await ended;
    await mesh.until('only one runs it', 10_000, async () => (await listProcesses('/bin/bodies')).length <= 3);
    await mesh.expect(requester, ['job', 'cancel', job.job]);
    await mesh.until('nobody runs it', 10_000, async () => (await listProcesses('/bin/bodies')).length === 0);
  });

  /** The layer with the program, as the example has it. */
  async function readLayer(): Promise<{ bytes: Uint8Array; diffId: string }> {
    const read = async (digest: string): Promise<Buffer> =>
      await readFile(join(layout, 'blobs/sha256', digest.slice(7)));
    const index = JSON.parse(await readFile(join(layout, 'index.json'), 'utf8')) as { manifests: { digest: string }[] };
    const manifest = JSON.parse((await read(index.manifests[0]?.digest ?? '')).toString()) as Record<
      'config',
      { digest: string }
    > &
      Record<'layers', { digest: string }[]>;
    const config = JSON.parse((await read(manifest.config.digest)).toString()) as { rootfs: { diff_ids: string[] } };
    return { bytes: await read(manifest.layers[0]?.digest ?? ''), diffId: config.rootfs.diff_ids[0] ?? '' };
  }
});

/** Processes of this machine that run a program, by its path. */
async function listProcesses(program: string): Promise<readonly string[]> {
  const found: string[] = [];
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const line = await readFile(`/proc/${name}/cmdline`, 'utf8').catch(() => '');
    if (line.split('\0')[0] === program) found.push(name);
  }
  return found;
}
