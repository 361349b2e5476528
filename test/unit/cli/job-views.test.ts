import { describe, expect, it } from 'vitest';
import { formatCount, formatWhen, renderFields, shortId, shortPeer } from '../../../src/cli/format.ts';
import { renderTable } from '../../../src/cli/framework/text-table.ts';
import { JobFollower } from '../../../src/cli/job/job-follower.ts';
import { renderJobs } from '../../../src/cli/job/list.ts';
import { exitCodeOf, renderAgreement, renderExplanation, renderJob } from '../../../src/cli/job/render-job.ts';
import { renderStatus } from '../../../src/cli/node/status.ts';
import { renderNoWork } from '../../../src/cli/node/why-no-work.ts';
import { renderPeers } from '../../../src/cli/peers/list.ts';
import { toJsonForm } from '../../../src/rpc/json-form.ts';
import type { JobEvent } from '../../../src/scheduler/interface.ts';
import { EXAMPLE_VIEW, exampleLog, exampleResult } from '../../support/fake-rpc-modules.ts';

const output = { table: renderTable };
const nowMs = 1_790_000_100_000;

describe('figures', () => {
  it.each([
    [0, '0'],
    [999, '999'],
    [1_000, '1 k'],
    [1_234_567, '1.2 M'],
    [38_400_000_000, '38.4 G'],
  ])('%d is %s', (value, text) => expect(formatCount(value)).toBe(text));

  it('tells when', () => {
    expect(formatWhen(nowMs - 90_000, nowMs)).toBe('1.5 m ago');
    expect(formatWhen(nowMs + 600_000, nowMs)).toBe('in 10 m');
    expect(formatWhen(nowMs + 10, nowMs)).toBe('now');
  });

  it('shortens ids so that commands still take them', () => {
    expect(EXAMPLE_VIEW.job.startsWith(shortId(EXAMPLE_VIEW.job))).toBe(true);
    expect(shortPeer('12D3KooWGC6TvWhfapngX6wvJHMYvKpDMXPb3ZnCZ6dMoaMtimQ5')).toBe('12D3…MtimQ5');
    expect(
      renderFields([
        ['a', '1'],
        ['longer', undefined],
        ['bb', '2'],
      ]),
    ).toEqual(['a   1', 'bb  2']);
  });
});

describe('views', () => {
  it('shows a job with its attempts and outputs', () => {
    const text = renderJob(EXAMPLE_VIEW, { output, nowMs }).join('\n');
    for (const part of [
      EXAMPLE_VIEW.job,
      'train digits',
      'completed',
      '1.2 M units of fuel',
      '/model.bin',
      '5.1 KiB',
      'REPLICA',
    ]) {
      expect(text).toContain(part);
    }
  });

  it('says of results that they are within tolerance, and by how much', () => {
    const { result } = EXAMPLE_VIEW;
    if (result === null) throw new TypeError('the example has a result');
    const agreeing = [...result.agreeing, ...result.agreeing];
    const largest = { path: '/output/w', index: 17, a: '0.5', b: '0.51', share: '0.25' };
    const within = { ...result, agreeing, withinTolerance: { leases: result.agreeing, largest } };
    expect(renderAgreement(within)).toBe(
      '2 of 2 results are within tolerance (the largest difference: 0.5 and 0.51 at element 17 of /output/w, 25.0 % of what is tolerated)',
    );
    expect(renderAgreement({ ...within, withinTolerance: { leases: result.agreeing, largest: null } })).toMatch(
      /^2 of 2 results have the same files/,
    );
    expect(renderAgreement({ ...result, agreeing })).toBe('2 of 2 results are byte-identical');
  });

  it('says of one provider that nobody agrees with it', () => {
    expect(renderJob(EXAMPLE_VIEW, { output, nowMs }).join('\n')).toContain('nobody to agree with');
  });

  it('shows why a job waits, a list, peers, status and why a node idles', () => {
    const explanation = exampleResult('job.explain');
    const render = (attempts: number, asked = explanation.asked): string =>
      renderExplanation({ ...explanation, asked }, { output, attempts }).join('\n');
    expect(render(0)).toMatch(/AT_CAPACITY.*slots are taken/);
    expect(render(0, [])).toContain('nobody was asked');
    expect(render(1, [])).toContain('who was asked is not known');
    expect(renderJobs([EXAMPLE_VIEW], { output, nowMs })[1]).toContain('completed');
    expect(renderJobs([], { output, nowMs })).toEqual([expect.stringContaining('job submit')]);
    const { peers } = exampleResult('peers.list');
    expect(renderPeers(peers, { output, isFull: false }).join('\n')).toContain('12D3…MtimQ5');
    expect(renderPeers(peers, { output, isFull: true }).join('\n')).toContain('/ip4/127.0.0.1/tcp/4717');
    expect(renderStatus(toJsonForm(exampleResult('node.status')), output).join('\n')).toContain("Strangers' jobs");
    expect(renderNoWork(exampleResult('node.whyNoWork'), { output, nowMs }).join('\n')).toContain('✗ peers');
  });

  it('says what a failure without words means, and ends no line in a colon', () => {
    const { result } = EXAMPLE_VIEW;
    const outcome = { kind: 'program-failed', code: 'OUT_OF_FUEL', detail: '' } as const;
    const failure = { code: 'JOB_PROGRAM_OUT_OF_FUEL', message: '' };
    const view = { ...EXAMPLE_VIEW, failure, result: result && { ...result, outcome } };
    const lines = renderJob(view, { output, nowMs });
    expect(lines.join('\n')).toMatch(/OUT_OF_FUEL: it needs more than resources\.fuel allows \(/);
    expect(lines.filter((line) => /:\s*$/.test(line))).toEqual([]);
  });

  it('fails unless the program completed', () => {
    const { result } = EXAMPLE_VIEW;
    const failed = { kind: 'program-failed', code: 'TRAP', detail: 'unreachable' } as const;
    expect(exitCodeOf(EXAMPLE_VIEW)).toBe(0);
    expect(exitCodeOf({ ...EXAMPLE_VIEW, state: 'failed', result: null })).toBe(1);
    expect(exitCodeOf({ ...EXAMPLE_VIEW, result: result && { ...result, outcome: failed } })).toBe(1);
  });
});

describe('a paused job', () => {
  const [attempt] = EXAMPLE_VIEW.attempts;
  if (attempt === undefined) throw new Error('the example has an attempt');
  const first = { ...attempt, state: 'paused' as const, checkpoint: { step: 20, head: 'ab', heldStep: 20 } };
  const second = {
    ...attempt,
    attempt: 1,
    state: 'running' as const,
    checkpoint: { step: 40, head: 'cd', heldStep: 30 },
    resumedFrom: { lease: attempt.lease, step: 20 },
  };
  const paused = { ...EXAMPLE_VIEW, state: 'paused', desired: 'pause', endedAtMs: null, result: null } as const;

  it('says what to do next, and what of it is held', () => {
    const text = renderJob({ ...paused, attempts: [first] }, { output, nowMs }).join('\n');
    expect(text).toMatch(/next +go on with `fogproof job resume bafyrei/);
    expect(text).toContain('20, held');
    expect(renderJobs([paused], { output, nowMs })[1]).toContain('paused');
  });

  it('says while it runs on that it is to be paused, and where an attempt went on from', () => {
    const view = { ...paused, state: 'running', attempts: [first, second] } as const;
    const text = renderJob(view, { output, nowMs }).join('\n');
    expect(text).toContain('running, to be paused');
    expect(text).toContain('stop at their next checkpoint');
    expect(text).toContain('40, 30 held');
    expect(text).toMatch(/went on from step 20 of try \d/);
  });
});

describe('JobFollower', () => {
  const metric = (step: number, lease: string): JobEvent =>
    ({ ...exampleLog('', { lease }), kind: 'metric', name: 'loss', value: `0.${step}`, step }) as JobEvent;

  function follow(events: readonly JobEvent[], replicas: 'merged' | 'each'): { lines: string[]; progress: string[] } {
    const lines: string[] = [];
    const progress: string[] = [];
    const follower = new JobFollower(
      {
        output: {
          isJson: false,
          item: (_, text) => void lines.push(text),
          progress: (text) => void progress.push(text),
        },
      },
      { replicas, shows: ['state', 'attempt', 'log', 'metric'] },
    );
    for (const event of events) follower.see(event);
    return { lines, progress };
  }
  const two = [
    exampleLog('one\n', { lease: 'a', replica: 0 }),
    exampleLog('one\n', { lease: 'b', replica: 1 }),
    exampleLog('two\n', { lease: 'b', replica: 1 }),
    metric(1, 'b'),
    exampleLog('two\n', { lease: 'a', replica: 0 }),
    metric(1, 'a'),
    metric(2, 'a'),
  ];

  it('shows equal lines of replicas once, from whichever is first', () => {
    expect(follow(two, 'merged').lines).toEqual(['one', 'two', 'step 1  loss 0.1', 'step 2  loss 0.2']);
  });

  it('shows nothing again when a replaced replica starts over', () => {
    const again = [
      ...two,
      exampleLog('one\n', { lease: 'c', replica: 0 }),
      exampleLog('two\n', { lease: 'c', replica: 0 }),
    ];
    expect(follow(again, 'merged').lines).toHaveLength(4);
  });

  it('shows each replica with its number where asked to', () => {
    expect(follow(two, 'each').lines.slice(0, 2)).toEqual(['#0 one', '#1 one']);
  });

  it('tells each change of an attempt once, and draws the progress of those that run', () => {
    const [attempt] = EXAMPLE_VIEW.attempts;
    if (attempt === undefined) throw new Error('the example has an attempt');
    const at = (state: 'running' | 'lost', step: number): JobEvent => ({
      kind: 'attempt',
      job: EXAMPLE_VIEW.job,
      atMs: EXAMPLE_VIEW.createdAtMs,
      attempt: { ...attempt, state, progress: { fuel: step * 1000, step, cpuTimeMs: 1 }, reason: null },
    });
    const { lines, progress } = follow([at('running', 1), at('running', 2), at('lost', 2)], 'merged');
    expect(lines).toEqual(['• replica 0 on 12D3…MtimQ5: running', '• replica 0 on 12D3…MtimQ5: lost']);
    expect(progress[1]).toBe('#0 step 2, 2 k fuel');
    expect(progress[2]).toBe('');
  });

  it('counts on by the places of lines where they are told, and by the lines of the attempt before where not', () => {
    const [attempt] = EXAMPLE_VIEW.attempts;
    if (attempt === undefined) throw new Error('the example has an attempt');
    const placed = (text: string, ordinal: number, lease: string): JobEvent =>
      ({ ...exampleLog(`${text}\n`, { lease }), ordinal }) as JobEvent;
    const moved = (lease: string, from: string): JobEvent => ({
      kind: 'attempt',
      job: EXAMPLE_VIEW.job,
      atMs: EXAMPLE_VIEW.createdAtMs,
      attempt: {
        ...attempt,
        lease: lease as typeof attempt.lease,
        attempt: 1,
        state: 'running',
        resumedFrom: { lease: from as typeof attempt.lease, step: 20 },
      },
    });
    const stepping = [placed('one', 1, 'a'), placed('two', 2, 'a'), moved('b', 'a'), placed('three', 3, 'b')];
    expect(follow(stepping, 'merged').lines).toEqual([
      'one',
      'two',
      '• replica 0 (try 2, from step 20) on 12D3…MtimQ5: running',
      'three',
    ]);
    const replicas = [placed('one', 1, 'a'), placed('one', 1, 'c'), placed('two', 2, 'c'), placed('two', 2, 'a')];
    expect(follow(replicas, 'merged').lines).toEqual(['one', 'two']);
    const rounds = [exampleLog('one\n', { lease: 'a' }), moved('b', 'a'), exampleLog('two\n', { lease: 'b' })];
    expect(follow(rounds, 'merged').lines.at(-1)).toBe('two');
  });

  it('tells checkpoints where they are wanted', () => {
    const checkpoint: JobEvent = {
      kind: 'checkpoint',
      job: EXAMPLE_VIEW.job,
      lease: EXAMPLE_VIEW.attempts[0]?.lease as never,
      replica: 1,
      atMs: EXAMPLE_VIEW.createdAtMs,
      step: 20,
      stateRoot: 'ab'.repeat(32),
      snapshot: 'held',
    };
    expect(follow([checkpoint], 'merged').lines).toEqual([]);
    const lines: string[] = [];
    const output = { isJson: false, item: (_: unknown, text: string) => void lines.push(text), progress: () => {} };
    new JobFollower({ output }, { replicas: 'merged', shows: ['checkpoint'] }).see(checkpoint);
    expect(lines).toEqual(['• replica 1: checkpoint at step 20, state abababababababab…, snapshot held']);
  });
});
