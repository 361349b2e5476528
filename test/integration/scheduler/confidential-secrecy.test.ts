import { randomBytes } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { decodeUtf8, encodeUtf8 } from '../../../src/lib/bytes.ts';
import type { JobDraft, JobView } from '../../../src/scheduler/interface.ts';
import type { Confidentiality } from '../../../src/tee/interface.ts';
import { collect } from '../../support/confidential-work.ts';
import { describeLiveDraft, knowsProviders, type LiveNode, startLiveNode } from '../../support/live-node.ts';
import { describeIf } from '../../support/needs.ts';
import { steppingWat } from '../../support/program.ts';
import { createTestExecutor, findOffers, needLevel } from '../../support/sandbox.ts';
import { TestTee } from '../../support/simulated-tee.ts';
import { assembleWat } from '../../support/wat.ts';

/** Says its input in every way that there is: its first marker as a log line and as the name of a metric, all as output. */
function assembleParrot(end: string): Uint8Array {
  return assembleWat(
    steppingWat({
      rest: '(global $n (mut i32) (i32.const 0))',
      init: `(drop (memory.grow (i32.const 3)))
        (global.set $n (call $input_len (i32.const 0)))
        (drop (call $input_read (i32.const 0) (i32.const 1024) (i32.const 0) (global.get $n)))
        (call $log (i32.const 1024) (i32.const 39))
        (call $metric (i32.const 1024) (i32.const 39) (f64.const 1.5))
        (call $output_write (i32.const 1024) (global.get $n))
        i32.const 0`,
      step: end,
    }),
  );
}

const DONE = assembleParrot('i32.const 1');
const TRAPS = assembleParrot('unreachable');
const offers = await findOffers();
const signal = () => AbortSignal.timeout(30_000);

/** 39 characters, unlike anything else that is written anywhere. */
function makeMarker(): string {
  return `marker-${randomBytes(16).toString('hex')}`;
}

/** As it may be written: as it is, and as text. */
function formsOf(secret: Uint8Array): readonly Buffer[] {
  const bytes = Buffer.from(secret);
  const texts = [bytes.toString('hex'), bytes.toString('base64'), bytes.toString('base64url'), bytes.join(',')];
  const wide = Buffer.from(bytes.toString('latin1'), 'utf16le');
  return [bytes, wide, ...texts.map((text) => Buffer.from(text))];
}

/** Files of a folder, at any depth, that have any of these in them. */
async function findFiles(folder: string, secrets: readonly Uint8Array[]): Promise<readonly string[]> {
  const forms = secrets.flatMap(formsOf);
  const found: string[] = [];
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    const contents = await readFile(path);
    if (forms.some((form) => contents.includes(form))) found.push(path);
  }
  return found;
}

interface Scene {
  readonly requester: LiveNode;
  readonly provider: LiveNode;
  readonly policy: string;
  /** Keys and salts that were released. */
  readonly released: Uint8Array[];
}

async function startScene(stack: AsyncDisposableStack): Promise<Scene> {
  const tee = new TestTee();
  const released: Uint8Array[] = [];
  const confidentiality = tee.createConfidentiality();
  const listening: Confidentiality = {
    ...confidentiality,
    sealSecrets: (sealing) => {
      released.push(...[sealing.secrets.contentKey, ...sealing.secrets.salts].map((bytes) => bytes.slice()));
      return confidentiality.sealSecrets(sealing);
    },
  };
  const requester = stack.use(await startLiveNode({ confidential: { confidentiality: listening } }));
  const executor = stack.use(await createTestExecutor());
  const provider = stack.use(
    await startLiveNode({
      executor,
      logsToFile: true,
      bootstrap: [requester.address()],
      confidential: { confidentiality: tee.createConfidentiality(), producer: tee },
    }),
  );
  await knowsProviders(requester, 1);
  return { requester, provider, policy: tee.policy, released };
}

async function run(
  { requester }: Scene,
  module: Uint8Array,
  input: string,
  change: Partial<JobDraft>,
): Promise<JobView> {
  const [program, file] = [await requester.blobs.put(module), await requester.blobs.put(encodeUtf8(input))];
  const draft = await describeLiveDraft(requester, change);
  const workload = { ...draft.workload, module: program.blob, moduleSizeBytes: program.sizeBytes };
  const resources = { ...draft.resources, memoryBytes: 4 * 65_536, fuel: 10_000_000, logBytes: 10_000 };
  const inputs = [{ path: '/in', ...file }];
  const { job } = await requester.requester.submit({ ...draft, workload, resources, inputs });
  return await requester.requester.wait(job, { signal: signal() });
}

async function readSaid({ requester }: Scene, job: JobView['job']): Promise<readonly string[]> {
  const said: string[] = [];
  for await (const event of requester.requester.events(job, { follow: false, signal: signal() })) {
    if (event.kind === 'log') said.push(event.text);
    if (event.kind === 'metric') said.push(event.name);
  }
  return said;
}

describeIf(needLevel(offers.has('process'), 'process'), 'the disk of a provider', () => {
  it('has nothing of a confidential job that can be read: not its input, nor what it says, nor a key', async () => {
    await using stack = new AsyncDisposableStack();
    const scene = await startScene(stack);
    const { requester, provider, policy, released } = scene;
    const confidential = { capabilityClass: 'tee', confidential: { policy } } as const;
    const marker = makeMarker();
    // Too large to ride with the receipt too: it goes through the store of blobs.
    const inputs = [marker, marker.repeat(3_000)];
    for (const input of inputs) {
      const view = await run(scene, DONE, input, confidential);
      expect(view).toMatchObject({ state: 'completed' });
      const [output] = view.result?.outputs ?? [];
      if (output === undefined) throw new TypeError('no output');
      const stored = requester.blobs.read(output.blob, 0, output.sizeBytes);
      const plain = requester.requester.openOutput(view.job, output.path, one(stored));
      expect(decodeUtf8(await collect(plain))).toBe(input);
    }
    const failed = await run(scene, TRAPS, marker, confidential);
    expect(failed.result?.outcome).toEqual({ kind: 'program-failed', code: 'TRAP', detail: '' });
    expect(await readSaid(scene, failed.job)).toEqual([marker, marker]);
    expect(released.length).toBeGreaterThanOrEqual(6);
    await provider.provider.stop();
    expect(await readdir(provider.folder)).toEqual(expect.arrayContaining(['blobs', 'daemon.log', 'db', 'snapshots']));
    expect(await findFiles(provider.folder, [encodeUtf8(marker), ...released])).toEqual([]);
  });

  it('has what a job says that is not confidential', async () => {
    await using stack = new AsyncDisposableStack();
    const scene = await startScene(stack);
    const marker = makeMarker();
    const view = await run(scene, DONE, marker, {});
    expect(view.state).toBe('completed');
    expect(await findFiles(scene.provider.folder, [encodeUtf8(marker)])).not.toEqual([]);
  });
});

async function* one(bytes: Promise<Uint8Array | undefined>): AsyncGenerator<Uint8Array> {
  const read = await bytes;
  if (read === undefined) throw new TypeError('the output is not here');
  yield read;
}
