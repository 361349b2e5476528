import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import {
  type FileHandle,
  mkdir,
  mkdtemp,
  open,
  readFile,
  rename,
  rm,
  symlink,
  truncate,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ControlFiles, listControlFiles } from '../../../src/sandbox/rounds/control-files.ts';
import { copyCheckpoint } from '../../../src/sandbox/rounds/copy-checkpoint.ts';
import { EventCount } from '../../../src/sandbox/rounds/event-count.ts';
import { type RoundFailure, RoundWatch } from '../../../src/sandbox/rounds/round-watch.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { RecordingSink } from '../../support/sandbox.ts';

const POLL_MS = 20;
const MEBIBYTE = 2 ** 20;

/** The parts of src/sandbox/rounds on real folders, with what a program does done here. */
describe('training rounds of a program, by files', () => {
  let base: string;
  let excesses: number;
  let checkpoint: FileHandle;
  let control: FileHandle;
  const inCheckpoint = (name: string): string => join(base, 'checkpoint', name);
  const inControl = (name: string): string => join(base, 'fogproof', name);

  beforeEach(async () => {
    excesses = 0;
    // A program's folders are in memory too.
    base = await mkdtemp(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'fogproof-rounds-'));
    await mkdir(join(base, 'checkpoint'));
    await mkdir(join(base, 'fogproof'));
    checkpoint = await open(join(base, 'checkpoint'));
    control = await open(join(base, 'fogproof'));
    for (const { path, bytes } of listControlFiles(0)) await writeFile(join(base, path), bytes);
  });
  afterEach(async () => {
    await checkpoint.close();
    await control.close();
    await rm(base, { recursive: true, force: true });
  });

  const report = async (round: number): Promise<void> => {
    await writeFile(inCheckpoint('.round'), `${round}\n`);
    await rename(inCheckpoint('.round'), inCheckpoint('ROUND'));
  };
  const readTaken = async (): Promise<number> => Number(await readFile(inControl('taken'), 'utf8'));

  interface Watched {
    readonly clock: ManualClock;
    readonly sink: RecordingSink;
    readonly failures: RoundFailure[];
    readonly watch: RoundWatch;
    /** Lets the node look until something is so. */
    readonly lookUntil: (isSo: () => boolean | Promise<boolean>) => Promise<void>;
  }

  async function begin({ every = 1, pausing = null as AbortSignal | null } = {}): Promise<Watched> {
    const clock = new ManualClock();
    const sink = new RecordingSink();
    const failures: RoundFailure[] = [];
    const count = new EventCount({ maxBytes: 100_000, onExcess: () => (excesses += 1) });
    const watch = new RoundWatch(
      { checkpoint, control },
      { clock, sink, count, stop: (failure) => failures.push(failure) },
      { schedule: { kind: 'rounds', every }, round: 0, outputBytes: MEBIBYTE, pausing },
    );
    await watch.begin([]);
    const lookUntil = async (isSo: () => boolean | Promise<boolean>): Promise<void> => {
      const deadline = performance.now() + 20_000;
      while (!(await isSo())) {
        if (performance.now() > deadline) throw new Error('it never came to be so');
        await clock.advance(POLL_MS);
      }
    };
    return { clock, sink, failures, watch, lookUntil };
  }

  it('leaves out a round whose files changed behind its report, says so once, and takes the next', async () => {
    const { sink, watch, lookUntil } = await begin();
    await writeFile(inCheckpoint('weights'), 'one');
    await report(1);
    // The kernel's times have steps of a few milliseconds.
    await new Promise((resolve) => setTimeout(resolve, 15));
    await writeFile(inCheckpoint('weights'), 'two');
    await lookUntil(async () => (await readTaken()) === 1);
    expect(sink.events).toEqual([expect.stringContaining('round 1 has no checkpoint')]);
    expect(sink.checkpoints.map(({ step }) => step)).toEqual([0]);
    await report(2);
    await lookUntil(async () => (await readTaken()) === 2);
    expect(sink.checkpoints.map(({ step }) => step)).toEqual([0, 2]);
    expect(await watch.end(true)).toBeNull();
    await watch[Symbol.asyncDispose]();
    expect(sink.events).toHaveLength(1);
  });

  it('says nothing to a program before its checkpoint is taken, and leaves no timer behind', async () => {
    const { clock, sink, watch, lookUntil } = await begin();
    const answer = Promise.withResolvers<void>();
    const { checkpoint: take } = RecordingSink.prototype;
    sink.checkpoint = async (state) => {
      if (state.place === 'middle') await answer.promise;
      return await take.call(sink, state);
    };
    await report(1);
    await clock.advance(POLL_MS);
    await clock.advance(10 * POLL_MS);
    expect(await readTaken()).toBe(0);
    answer.resolve();
    await lookUntil(async () => (await readTaken()) === 1);
    await watch.end(false);
    await watch[Symbol.asyncDispose]();
    expect(clock.pending).toBe(0);
  });

  it('asks for a pause through the file that was there from the start, and through nothing else', async () => {
    const pausing = new AbortController();
    const { watch, lookUntil } = await begin({ pausing: pausing.signal });
    await rename(inControl('pause'), inControl('kept'));
    const victim = join(base, 'victim');
    await writeFile(victim, 'unharmed');
    await symlink(victim, inControl('pause'));
    pausing.abort();
    await lookUntil(async () => (await readFile(inControl('kept'), 'utf8')).startsWith('1'));
    expect(await readFile(victim, 'utf8')).toBe('unharmed');
    await watch[Symbol.asyncDispose]();
  });

  it('tells metrics that the file still holds when the program has ended, with or without an end of line', async () => {
    const { sink, watch } = await begin();
    await writeFile(inControl('metrics.jsonl'), '{"step": 1, "loss": 0.5}\n{"step": 2, "loss": 0.25}');
    await watch.end(true);
    await watch[Symbol.asyncDispose]();
    expect(sink.events).toEqual(['1 loss=0.5', '2 loss=0.25']);
  });

  it('is not kept busy for nothing by empty lines, which count as well', async () => {
    const { failures, sink, watch } = await begin();
    await writeFile(inControl('metrics.jsonl'), '\n'.repeat(2_000_000));
    await watch.end(true);
    await watch[Symbol.asyncDispose]();
    expect([sink.events, failures]).toEqual([[], []]);
    expect(excesses).toBe(1);
  });

  it('is not led out of its folder by a program that swaps a folder for a link while it is read', async () => {
    const secret = join(base, 'secret');
    await mkdir(secret);
    await writeFile(join(secret, 'x'), 'secret');
    await mkdir(inCheckpoint('d'));
    await writeFile(inCheckpoint('d/x'), 'plain');
    const swap = 'while :; do mv d e; ln -s "$0" d; rm d; mv e d; done';
    const program = spawn('/bin/sh', ['-c', swap, secret], { cwd: join(base, 'checkpoint'), stdio: 'ignore' });
    const found = new Map<string, number>();
    for (let look = 0; look < 400; look += 1) {
      const copy = await copyCheckpoint(checkpoint, { maxBytes: MEBIBYTE, report: null });
      const texts = copy.kind === 'copied' ? copy.files.map(({ bytes }) => Buffer.from(bytes).toString()) : [copy.kind];
      for (const text of texts) found.set(text, (found.get(text) ?? 0) + 1);
    }
    program.kill('SIGKILL');
    await once(program, 'exit');
    expect([...found.keys()]).not.toContain('secret');
    expect(found.get('plain')).toBeGreaterThan(0);
    // It did swap while it was read.
    expect((found.get('refused') ?? 0) + (found.get('changed') ?? 0)).toBeGreaterThan(0);
  });

  it.each<[what: string, kind: string, make: () => Promise<unknown>]>([
    [
      'a sparse file larger than allowed',
      'too-much',
      async () => {
        await writeFile(inCheckpoint('a'), '');
        await truncate(inCheckpoint('a'), 2 ** 40);
      },
    ],
    ['folders that lie too deep', 'refused', () => mkdir(inCheckpoint('d/'.repeat(70)), { recursive: true })],
    [
      'a path that is too long',
      'refused',
      async () => {
        const folder = inCheckpoint(Array.from({ length: 3 }, () => 'n'.repeat(200)).join('/'));
        await mkdir(folder, { recursive: true });
      },
    ],
    [
      'a name that is no UTF-8',
      'refused',
      () => writeFile(Buffer.concat([Buffer.from(`${inCheckpoint('n')}`), Buffer.of(0xff)]), ''),
    ],
    [
      'too many folders',
      'too-much',
      async () => {
        await Promise.all(Array.from({ length: 1030 }, (_, index) => mkdir(inCheckpoint(`d${index}`))));
      },
    ],
  ])('refuses %s', async (_what, kind, make) => {
    await make();
    expect(await copyCheckpoint(checkpoint, { maxBytes: MEBIBYTE, report: null })).toMatchObject({ kind });
  });

  it('does not begin where its side of the conversation is not laid out', async () => {
    await rm(inControl('pause'));
    await expect(ControlFiles.open(control)).rejects.toMatchObject({ code: 'ENOENT' });
  });
});
