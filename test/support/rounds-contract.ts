import { afterAll, beforeAll, expect, it } from 'vitest';
import { computeStateRoot } from '../../src/proofs/state-root.ts';
import type { ExecutionResult, ExecutionTask, Executor, InputFile } from '../../src/sandbox/interface.ts';
import { KeepingSink } from './checkpoint-sink.ts';
import { describeIf, type Need } from './needs.ts';
import { countingScript, countTo, REPORT_FUNCTION } from './round-programs.ts';
import { RecordingSink } from './sandbox.ts';

export interface RoundsHarness {
  readonly name: string;
  readonly need: Need;
  readonly open: () => Executor | Promise<Executor>;
  /** A task that runs a script in a POSIX shell with `sleep`, `mv`, `ln`, `mkdir` and `truncate`. */
  readonly createTask: (script: string, parts: Partial<ExecutionTask>) => ExecutionTask;
}

const EVERY = { kind: 'rounds', every: 1 } as const;
const file = (path: string, text: string): InputFile => ({ path, bytes: Buffer.from(text) });
const read = (result: ExecutionResult): string => Buffer.from(result.outputs[0]?.bytes ?? []).toString();

/** What every executor of native programs owes a job with training rounds (docs/training.md). */
export function describeRounds({ name, need, open, createTask }: RoundsHarness): void {
  describeIf(need, `Executor of ${name}, training rounds`, () => {
    let executor: Executor;
    beforeAll(async () => {
      executor = await open();
    });
    afterAll(async () => await executor[Symbol.asyncDispose]());

    const run = async (
      script: string,
      sink: RecordingSink,
      { pausing, signal, ...parts }: Partial<ExecutionTask> & { pausing?: AbortSignal; signal?: AbortSignal } = {},
    ): Promise<ExecutionResult> =>
      await executor.execute(createTask(script, { checkpoints: EVERY, ...parts }), sink, {
        ...(pausing === undefined ? {} : { pausing }),
        ...(signal === undefined ? {} : { signal }),
      });

    it('tells a checkpoint at the start, behind each round, and no second one at the end', async () => {
      const sink = new RecordingSink();
      const result = await run(countingScript(3), sink);
      expect(result).toMatchObject({ outcome: { kind: 'completed' }, fuel: null, steps: 3 });
      expect(read(result)).toBe(`${countTo(3)}\n`);
      const { checkpoints } = sink;
      expect(checkpoints.map(({ place, step, fuel }) => [place, step, fuel])).toEqual([
        ['start', 0, null],
        ['middle', 1, null],
        ['middle', 2, null],
        ['middle', 3, null],
        ['end', 3, null],
      ]);
      for (const checkpoint of checkpoints) expect(computeStateRoot(checkpoint.state)).toEqual(checkpoint.stateRoot);
      expect(checkpoints[4]?.stateRoot).toEqual(checkpoints[3]?.stateRoot);
      const { state } = checkpoints[2] ?? {};
      if (state?.kind !== 'files') throw new TypeError('its state is files');
      expect(state.files.map(({ path }) => path)).toEqual(['/checkpoint/ROUND', '/checkpoint/state/sum']);
    });

    it('tells metrics with their step, in order, and hashes them as modules’ are', async () => {
      const sink = new RecordingSink();
      const result = await run(countingScript(2), sink);
      expect(sink.events.filter((event) => event.includes('sum='))).toEqual([
        `1 sum=${countTo(1)}`,
        `2 sum=${countTo(2)}`,
      ]);
      const [start, first] = sink.checkpoints;
      expect(start?.metricsHash).not.toEqual(first?.metricsHash);
      expect(sink.checkpoints.at(-1)?.metricsHash).toEqual(result.metricsHash);
    });

    it('goes on from any of its states to the same end, also over many pieces', async () => {
      const big = 'head -c 300000 /dev/zero > /checkpoint/zeros; truncate -s 200000 /checkpoint/sparse';
      const first = new KeepingSink();
      first.haltAt = 2;
      const halted = await run(countingScript(5, big), first);
      expect(halted.outcome).toMatchObject({ kind: 'attempt-failed', code: 'PAUSED' });
      const second = new KeepingSink(first.store);
      const result = await run(countingScript(5, big), second, { resume: first.resumeLast() });
      expect(result).toMatchObject({ outcome: { kind: 'completed' }, steps: 5 });
      expect(read(result)).toBe(`${countTo(5)}\n`);
      expect(second.checkpoints[0]?.stateRoot).toEqual(first.checkpoints.at(-1)?.stateRoot);
      expect(second.checkpoints.map(({ step }) => step)).toEqual([2, 3, 4, 5, 5]);
    });

    it('lays inputs under /checkpoint out to be changed', async () => {
      const inputs = [file('/checkpoint/state/sum', '7\n'), file('/data', 'x')];
      const sink = new RecordingSink();
      const script = `(echo y > /data) 2>/dev/null && exit 9\n${countingScript(1)}`;
      const result = await run(script, sink, { inputs });
      expect(read(result)).toBe(`${7 * 48_271 + 1}\n`);
      expect(sink.checkpoints[0]?.state).toMatchObject({ files: [{ path: '/checkpoint/state/sum' }] });
    });

    it('makes checkpoints at the rounds that the job names, and lets programs go on behind the others', async () => {
      const sink = new RecordingSink();
      await run(countingScript(7), sink, { checkpoints: { kind: 'rounds', every: 3 } });
      expect(sink.checkpoints.map(({ step }) => step)).toEqual([0, 3, 6, 7]);
    });

    it('asks the program for a checkpoint when it is to be halted, and halts it there', async () => {
      const pausing = new AbortController();
      const sink = new KeepingSink();
      // It reports nothing until it is asked to.
      const script = `${REPORT_FUNCTION}
        echo waiting; pause=0; while [ "$pause" = 0 ]; do sleep 0.01; read -r pause < /fogproof/pause; done
        echo asked > /checkpoint/why; report 4; echo 'goes on' > /output/no`;
      sink.onProgress = () => {
        if (!sink.events.includes('stdout: waiting') || pausing.signal.aborted) return;
        sink.haltAt = 1;
        pausing.abort();
      };
      const result = await run(script, sink, { pausing: pausing.signal });
      expect(result.outcome).toMatchObject({ kind: 'attempt-failed', code: 'PAUSED' });
      expect(result).toMatchObject({ steps: 4, outputs: [] });
    });

    it.each<[code: string, detail: string, script: string]>([
      ['OUTPUT_REFUSED', 'round 1 was reported after round 2', 'report 2; report 1'],
      ['OUTPUT_REFUSED', 'ROUND is not a number', 'echo seven > /checkpoint/ROUND; sleep 10'],
      ['OUTPUT_REFUSED', 'ROUND is no regular file', 'ln -s /etc/hostname /checkpoint/ROUND; sleep 10'],
      ['OUTPUT_REFUSED', 'ROUND is no regular file', 'mkdir /checkpoint/ROUND; sleep 10'],
      ['OUTPUT_REFUSED', 'neither a file nor a folder', 'ln -s / /checkpoint/link; report 1'],
      ['OUTPUT_REFUSED', 'another name', 'echo x > /checkpoint/a; ln /checkpoint/a /checkpoint/b; report 1'],
      [
        'OUTPUT_REFUSED',
        'metrics.jsonl is no regular file',
        'ln -s /proc/self/environ /fogproof/metrics.jsonl; sleep 10',
      ],
      ['OUTPUT_LIMIT', 'bytes', 'truncate -s 1T /checkpoint/a; report 1'],
      ['OUTPUT_LIMIT', '256 files', 'i=0; while [ $i -lt 300 ]; do : > /checkpoint/$i; i=$((i+1)); done; report 1'],
      ['LOG_LIMIT', '', 'while :; do echo \'{"step": 1, "x": 1}\'; done > /fogproof/metrics.jsonl'],
    ])('ends a program with %s (%s)', async (code, detail, script) => {
      const { outcome } = await run(`${REPORT_FUNCTION}${script}`, new RecordingSink());
      expect(outcome).toMatchObject({ kind: 'program-failed', code });
      expect(outcome).toHaveProperty('detail', expect.stringContaining(detail));
    });

    it('tells lines of metrics that are none as log lines', async () => {
      const sink = new RecordingSink();
      const script = String.raw`printf '%s\n' 'not json' '[1]' '{"step": 1}' '{"step": 0.5, "a": 1}' '{"step": 2, "a": "NaN", "b": -0.5}' >> /fogproof/metrics.jsonl`;
      const result = await run(script, sink);
      expect(result.outcome.kind).toBe('completed');
      expect(sink.events.filter((event) => event.startsWith('log: fogproof: no line of metrics'))).toHaveLength(4);
      expect(sink.events.slice(-2)).toEqual(['2 a=NaN', '2 b=-0.5']);
    });

    it('is not harmed by what the program does to its side of the conversation', async () => {
      const sink = new RecordingSink();
      const script = `rm /fogproof/taken; ln -s /etc/hostname /fogproof/taken
        echo 1 > /checkpoint/.r; mv /checkpoint/.r /checkpoint/ROUND; sleep 0.2`;
      const result = await run(script, sink);
      expect(result).toMatchObject({ outcome: { kind: 'completed' }, steps: 1 });
    });

    it('gives what the receiver of its checkpoints rejects with, and leaves nothing running', async () => {
      const sink = new RecordingSink();
      sink.checkpoint = async ({ step }) => {
        if (step > 0) throw new RangeError('no room');
        return { wanted: [], receive: async () => {}, complete: async () => {}, then: 'continue' };
      };
      await expect(run(`${countingScript(2)}; sleep 100`, sink)).rejects.toThrow('no room');
      expect((await run(countingScript(1), new RecordingSink())).outcome).toEqual({ kind: 'completed' });
    });

    it('runs nothing of a state that is not whole, or says another round', async () => {
      const first = new KeepingSink();
      first.haltAt = 1;
      await run(countingScript(3), first);
      const refused = { code: 'SANDBOX_RESUME_STATE' };
      const resume = first.resumeLast();
      const sink = new RecordingSink();
      const none = async function* (): AsyncGenerator<Uint8Array> {};
      const others = async function* (): AsyncGenerator<Uint8Array> {
        for await (const piece of first.resumeLast().pieces) yield piece.map((byte) => byte ^ 1);
      };
      await expect(run('true', sink, { resume: { ...resume, pieces: none() } })).rejects.toMatchObject(refused);
      await expect(run('true', sink, { resume: { ...resume, pieces: others() } })).rejects.toMatchObject(refused);
      await expect(run('true', sink, { resume: { ...first.resumeLast(), step: 2 } })).rejects.toMatchObject(refused);
      const { state } = resume;
      if (state.kind !== 'files') throw new TypeError('its state is files');
      const moved = {
        ...state,
        files: state.files.map((each) => ({ ...each, path: each.path.replace('/checkpoint', '/etc') })),
      };
      await expect(run('true', sink, { resume: { ...first.resumeLast(), state: moved } })).rejects.toMatchObject(
        refused,
      );
      expect(sink.checkpoints).toEqual([]);
    });
  });
}
