import { describe, expect, it } from 'vitest';
import type { ChaosNode } from '../../../../scripts/chaos/chaos-node.ts';
import type { EndedJob } from '../../../../scripts/chaos/client.ts';
import { HarmLedger } from '../../../../scripts/chaos/harm.ts';
import { JOB_KINDS } from '../../../../scripts/chaos/jobs.ts';
import { reckonJob } from '../../../../scripts/chaos/reckoning.ts';
import { Tally } from '../../../../scripts/chaos/tally.ts';
import type { Outcome } from '../../../../scripts/crash-stepping/outcome.ts';
import { computeBlobId } from '../../../../src/domain/blob-tree.ts';
import type { JobId } from '../../../../src/domain/ids.ts';

const JOB = 'job' as JobId;
const [COMMON, OWN] = [computeBlobId(Uint8Array.of(1)), computeBlobId(Uint8Array.of(2))];
const PROVIDERS = ['ada', 'berta', 'clara'];
const LINES = ['log a'];

function createRig() {
  const clock = { ms: 0 };
  const harms = new HarmLedger(() => clock.ms);
  const tally = new Tally();
  const fleet = {
    harms,
    providers: PROVIDERS.map((name) => ({ name }) as ChaosNode),
    // Its peer id is its name here.
    namesOf: (peers: readonly string[]) => PROVIDERS.filter((name) => peers.includes(name)),
  };
  const outcome: Outcome = {
    result: `{"outputs":["${COMMON}"]}`,
    roots: new Map(),
    events: LINES,
    printed: new Map([['lease', LINES]]),
    resumedAttempts: 0,
    attempts: 1,
    contradictions: [],
  };
  const die = (name: string, ms: number): void => {
    clock.ms = ms;
    harms.begin('died', name);
    clock.ms = ms + 100;
    harms.end('died', name);
  };
  const reckon = (
    name: string,
    given: { readonly view: object; readonly outcome?: Partial<Outcome>; readonly isReleased?: boolean },
  ): readonly string[] => {
    const kind = JOB_KINDS.find((candidate) => candidate.name === name);
    if (kind === undefined) throw new TypeError(`no kind ${name}`);
    const view = { state: 'completed', failure: null, attempts: [{ provider: 'ada' }], ...given.view };
    const ended = { view, outcome: { ...outcome, ...given.outcome }, explanation: '' } as unknown as EndedJob;
    const entry = { job: JOB, kind: name, requester: 'rita', output: kind.hasBlob ? OWN : null, sinceMs: 10_000 };
    const released = new Set(given.isReleased === true ? [JOB] : []);
    const modules = { fleet, tally, expected: new Map([[name, outcome]]), commonOutput: COMMON, released };
    return reckonJob(entry, { kind, ended, untilMs: 20_000 }, modules);
  };
  return { die, reckon, tally };
}

const EXPIRED = { view: { state: 'expired', failure: { code: 'JOB_DEADLINE' } }, outcome: { result: 'null' } };

describe('reckonJob', () => {
  it('excuses a job for what was done to a provider of it while it lived, and counts it', () => {
    const { die, reckon, tally } = createRig();
    die('ada', 15_000);
    expect(reckon('replicas', EXPIRED)).toEqual([]);
    expect([...tally.excused]).toEqual([['replicas: JOB_DEADLINE', 1]]);
  });

  it('does not for what was done to others, or before it or after', () => {
    const { die, reckon, tally } = createRig();
    die('ada', 1_000);
    die('berta', 15_000);
    die('ada', 25_000);
    expect(reckon('replicas', EXPIRED).join()).toContain('nothing was done to its requester');
    expect(tally.excused.size).toBe(0);
  });

  it('lets lines be missing where a provider of the job died, not where its requester did', () => {
    const short = { view: { result: { agreeing: ['lease'] } }, outcome: { printed: new Map() } };
    const { die, reckon, tally } = createRig();
    die('rita', 15_000);
    expect(reckon('single', short)).toHaveLength(1);
    die('ada', 16_000);
    expect(reckon('single', short)).toEqual([]);
    expect(tally.shortLogs).toBe(1);
  });

  it('expects the output of its own input', () => {
    const { reckon } = createRig();
    const view = { result: { agreeing: ['lease'] } };
    expect(reckon('blob', { view, outcome: { result: `{"outputs":["${OWN}"]}` } })).toEqual([]);
    expect(reckon('blob', { view })).toHaveLength(1);
  });

  it('takes as refused for good what each provider died under three times, and nothing less', () => {
    const { die, reckon, tally } = createRig();
    const released = { view: { state: 'cancelled' }, isReleased: true };
    for (const [turn, name] of [...PROVIDERS, ...PROVIDERS, 'ada', 'berta'].entries()) die(name, 11_000 + turn * 500);
    expect(reckon('single', released).join()).toMatch(/refused for good by all, and clara died fewer than 3 times/);
    die('clara', 18_000);
    expect(reckon('single', released)).toEqual([]);
    expect([...tally.excused]).toEqual([['single: QUARANTINED', 1]]);
  });
});
