import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkSchedule } from '../../../src/bundle/checks/chain.ts';
import { assessEvidence } from '../../../src/bundle/verify.ts';
import type { AssuranceReport } from '../../../src/domain/assurance.ts';
import { MAX_CHECKPOINTS } from '../../../src/domain/checkpoint.ts';
import { LeaseId, UnixMs } from '../../../src/domain/ids.ts';
import { RECEIPT } from '../../../src/domain/receipt.ts';
import type { SignedWire } from '../../../src/domain/signed.ts';
import { computeObjectCid } from '../../../src/lib/cid.ts';
import type { ChainLink } from '../../../src/proofs/checkpoint-chain.ts';
import { openSigned } from '../../../src/proofs/signed-object.ts';
import { type BuildOptions, buildBundle, type Lies, party, START_MS } from '../../support/bundle-builder.ts';
import { type CheckpointLies, contentsOf } from '../../support/checkpoint-builder.ts';

const OTHER = computeObjectCid(Uint8Array.of(1)).toString();
const LINE = { every: 2, before: [party(4), party(5)] } as const;

async function assess(options: BuildOptions) {
  const { bundle, chains } = await buildBundle(options);
  const { verification } = await assessEvidence(bundle, {}, contentsOf(chains));
  return { bundle, chains, verification };
}

function findCheck(assurances: readonly AssuranceReport[], name: string) {
  return assurances.flatMap(({ checks }) => checks).find((check) => check.name === name);
}

const flip = (bytes: Uint8Array): Uint8Array => bytes.map((byte, at) => (at === 3 ? byte ^ 1 : byte));

function without<Value extends object, Key extends keyof Value>(value: Value, key: Key): Omit<Value, Key> {
  const { [key]: _, ...others } = value;
  return others;
}

function changeLink(index: number, change: (link: ChainLink) => Partial<ChainLink>): CheckpointLies {
  return { links: (links) => links.map((link, at) => (at === index ? { ...link, ...change(link) } : link)) };
}

describe('an attempt with checkpoints', () => {
  it('is valid and says what it committed to, and what that does not show', async () => {
    const { verification } = await assess({ checkpoints: { every: 4 } });
    expect(verification.verdict).toBe('valid');
    const [signed] = verification.assurances;
    expect(signed?.statement).toContain('It committed to its state at 4 checkpoints, from step 0 to step 10.');
    expect(signed?.doesNotClaim.join(' ')).toContain('that one checkpoint follows from the one before');
    expect(verification.notProven.join(' ')).toContain('fogproof job replay');
  });

  it('is unchecked without its chain', async () => {
    const { bundle } = await buildBundle({ checkpoints: { every: 4 } });
    const { verification } = await assessEvidence(bundle);
    expect(verification.verdict).toBe('unchecked');
    expect(findCheck(verification.assurances, 'attempt 1: checkpoint chain')?.verdict.kind).toBe('unchecked');
  });

  it('names those that it inherited from', async () => {
    const { verification } = await assess({ checkpoints: LINE });
    expect(verification.verdict).toBe('valid');
    expect(verification.assurances[0]?.statement).toMatch(
      /It inherited the state after step 4 from provider \S+ \(attempt 2\), which had inherited that after step 2 from provider \S+ \(attempt 1\), which began at the beginning\./,
    );
  });

  it('is unchecked where the line does not go back to the beginning, or is not there', async () => {
    for (const kept of [1, 0]) {
      const { verification } = await assess({
        checkpoints: { ...LINE, lies: { inherited: (line) => line.slice(line.length - kept) } },
      });
      expect(verification.verdict).toBe('unchecked');
      expect(findCheck(verification.assurances, 'attempt 1: line')?.verdict.kind).toBe('unchecked');
    }
  });

  it('is unchecked without the first checkpoint of an inherited attempt', async () => {
    const { verification } = await assess({
      checkpoints: {
        ...LINE,
        lies: { inherited: (line) => line.map((one) => ({ ...one, checkpoints: one.checkpoints.slice(-1) })) },
      },
    });
    expect(verification.verdict).toBe('unchecked');
  });
});

describe('a lie about checkpoints, signed with a good key', () => {
  const cases: readonly [
    what: string,
    check: string,
    lies: { readonly own?: CheckpointLies; readonly others?: Lies; readonly line?: boolean },
  ][] = [
    ['chain.job', 'checkpoint chain', { own: { chain: (v) => ({ ...v, job: OTHER as never }) } }],
    ['chain.lease', 'checkpoint chain', { own: { chain: (v) => ({ ...v, lease: LeaseId(OTHER) }) } }],
    ['chain.inputRoot', 'checkpoint chain', { own: { chain: (v) => ({ ...v, inputRoot: flip(v.inputRoot) }) } }],
    ['chain.links', 'checkpoint chain', { own: { chain: (v) => ({ ...v, links: flip(v.links) }) } }],
    ['chain.links cut', 'checkpoint chain', { own: { chain: (v) => ({ ...v, links: v.links.slice(0, -1) }) } }],
    ['chain.links too few', 'checkpoint chain', { own: { chain: (v) => ({ ...v, links: v.links.slice(0, -80) }) } }],
    ['start.step', 'checkpoint chain', { own: { start: (v) => ({ ...v, step: 1 }) } }],
    ['start.parent', 'checkpoint chain', { own: { start: (v) => ({ ...v, parent: new Uint8Array(32) }) } }],
    [
      'start.stateRoot',
      'checkpoint chain',
      { own: { chain: (v) => ({ ...v, start: { ...v.start, stateRoot: flip(v.start.stateRoot) } }) } },
    ],
    ['no parent', 'checkpoint chain', { line: true, own: { start: (v) => ({ ...v, parent: null }) } }],
    [
      'another parent',
      'checkpoint chain',
      { line: true, own: { start: (v) => ({ ...v, parent: v.parent && flip(v.parent) }) } },
    ],
    [
      'another first state',
      'checkpoint chain',
      { line: true, own: { start: (v) => ({ ...v, stateRoot: flip(v.stateRoot) }) } },
    ],
    ['steps that go back', 'checkpoint chain', { own: { links: (v) => v.toReversed() } }],
    ['a last step', 'last checkpoint', { own: changeLink(4, () => ({ step: 11 })) }],
    [
      'a last metrics hash',
      'last checkpoint',
      { own: changeLink(4, ({ metricsHash }) => ({ metricsHash: flip(metricsHash) })) },
    ],
    ['a step that is not due', 'checkpoint schedule', { own: changeLink(1, () => ({ step: 3 })) }],
    ['a checkpoint left out', 'checkpoint schedule', { own: { links: (v) => v.filter((_, index) => index !== 2) } }],
    [
      'a time before the lease',
      'checkpoint times',
      { own: changeLink(0, () => ({ atMs: UnixMs(START_MS - 60_000) })) },
    ],
    ['a time after the end', 'checkpoint times', { own: changeLink(4, () => ({ atMs: UnixMs(START_MS + 90_000) })) }],
    [
      'receipt.checkpointRoot',
      'checkpoint chain',
      { others: { receipt: (v) => ({ ...v, checkpointRoot: v.checkpointRoot && flip(v.checkpointRoot) }) } },
    ],
    ['no checkpoint root', 'checkpoint root', { others: { receipt: (v) => ({ ...v, checkpointRoot: null }) } }],
    ['no chain', 'checkpoint root', { others: { receipt: (v) => without(v, 'checkpointChain') } }],
    [
      'links of the receipt',
      'checkpoint chain',
      {
        others: {
          receipt: (v) => ({ ...v, checkpointChain: v.checkpointChain && { ...v.checkpointChain, links: 1 } }),
        },
      },
    ],
    ['checkpoints that nobody asked for', 'checkpoint root', { others: { job: (v) => without(v, 'checkpoints') } }],
    ['resume without checkpoints', 'lease terms', { line: true, others: { job: (v) => without(v, 'checkpoints') } }],
    ['lease.snapshotHolder', 'lease terms', { others: { lease: (v) => ({ ...v, snapshotHolder: party(3).peer }) } }],
    ['resume.step', 'inherited 2: taken over', { line: true, own: { resume: (v) => ({ ...v, step: 3 }) } }],
    ['resume.head', 'inherited 2: taken over', { line: true, own: { resume: (v) => ({ ...v, head: flip(v.head) }) } }],
    [
      'resume.stateRoot',
      'inherited 2: taken over',
      { line: true, own: { resume: (v) => ({ ...v, stateRoot: flip(v.stateRoot) }) } },
    ],
    [
      'resume.lease',
      'inherited 2: taken over',
      { line: true, own: { resume: (v) => ({ ...v, lease: LeaseId(OTHER) }) } },
    ],
    [
      'inherited lease.job',
      'inherited 1: lease parties',
      { line: true, own: { inheritedLease: (v) => ({ ...v, job: OTHER as never }) } },
    ],
    [
      'inherited lease.replica',
      'inherited 2: taken over',
      { line: true, own: { inheritedLease: (v, index) => (index === 1 ? { ...v, replica: 1 } : v) } },
    ],
    [
      'inherited lease.attempt',
      'inherited 1: taken over',
      { line: true, own: { inheritedLease: (v) => ({ ...v, attempt: 9 }) } },
    ],
    [
      'inherited lease.provider',
      'inherited 1: acceptance signature',
      { line: true, own: { inheritedLease: (v) => ({ ...v, provider: party(3).peer }) } },
    ],
    [
      'an inherited attempt in another order',
      'inherited 1: taken over',
      { line: true, own: { inherited: (v) => v.toReversed() } },
    ],
    [
      'checkpoint.head',
      'inherited 1: checkpoints',
      { line: true, own: { inheritedCheckpoint: (v, at) => (at === 0 ? { ...v, head: flip(v.head) } : v) } },
    ],
    [
      'checkpoint.previous',
      'inherited 1: checkpoints',
      { line: true, own: { inheritedCheckpoint: (v, at) => (at === 1 ? { ...v, previous: flip(v.previous) } : v) } },
    ],
    [
      'checkpoint.step',
      'inherited 1: checkpoints',
      { line: true, own: { inheritedCheckpoint: (v) => ({ ...v, step: v.step + 1 }) } },
    ],
    [
      'checkpoint.stateRoot',
      'inherited 1: checkpoints',
      { line: true, own: { inheritedCheckpoint: (v) => ({ ...v, stateRoot: flip(v.stateRoot) }) } },
    ],
    [
      'checkpoint.metricsHash',
      'inherited 1: checkpoints',
      { line: true, own: { inheritedCheckpoint: (v) => ({ ...v, metricsHash: flip(v.metricsHash) }) } },
    ],
    [
      'checkpoint.atMs',
      'inherited 1: checkpoints',
      { line: true, own: { inheritedCheckpoint: (v) => ({ ...v, atMs: UnixMs(v.atMs + 1) }) } },
    ],
    [
      'checkpoint.provider',
      'inherited 1: checkpoints',
      { line: true, own: { inheritedCheckpoint: (v) => ({ ...v, provider: party(3).peer }) } },
    ],
    [
      'checkpoint.lease',
      'inherited 1: checkpoints',
      { line: true, own: { inheritedCheckpoint: (v) => ({ ...v, lease: LeaseId(OTHER) }) } },
    ],
    ['a line that the lease does not name', 'line', { line: true, others: { lease: (v) => without(v, 'resume') } }],
  ];

  it.each(cases)('%s: %s is invalid', async (_, check, { own, others, line }) => {
    const checkpoints = { ...(line === true ? LINE : { every: 2 }), ...(own === undefined ? {} : { lies: own }) };
    const { verification } = await assess({ checkpoints, ...(others === undefined ? {} : { lies: others }) });
    expect(verification.verdict).toBe('invalid');
    expect(findCheck(verification.assurances, `attempt 1: ${check}`)?.verdict.kind).toBe('invalid');
  });

  it('starts from an honest line', async () => {
    expect((await assess({ checkpoints: LINE })).verification.verdict).toBe('valid');
  });
});

describe('a schedule by steps', () => {
  const digest = new Uint8Array(32);
  const chainOf = (steps: readonly number[], from = 0) => ({
    start: { step: from, parent: null, stateRoot: digest },
    links: steps.map((step) => ({ step, stateRoot: digest, metricsHash: digest, atMs: UnixMs(START_MS) })),
  });
  const upTo = (count: number): number[] => Array.from({ length: count }, (_, index) => index + 1);

  it.each<[string, boolean, { every?: number; from?: number; links: number[]; steps: number; failed?: boolean }]>([
    ['all that are due, and the end', true, { every: 3, links: [3, 6, 7], steps: 7 }],
    ['all that are due, the end among them', true, { every: 3, links: [3, 6], steps: 6 }],
    ['from a state that was resumed', true, { every: 3, from: 4, links: [6, 7], steps: 7 }],
    ['none after the end', true, { every: 3, from: 7, links: [], steps: 7 }],
    ['none for the step that failed', true, { every: 3, links: [3], steps: 6, failed: true }],
    ['one that is missing before the step that failed', false, { every: 3, links: [3], steps: 7, failed: true }],
    ['one that is missing', false, { every: 3, links: [6, 7], steps: 7 }],
    ['one too many', false, { every: 3, links: [3, 5, 6], steps: 6 }],
    [
      'as many as a chain may have, and the end',
      true,
      { links: [...upTo(MAX_CHECKPOINTS - 1), 70_000], steps: 70_000 },
    ],
    ['one that is missing before that', false, { links: [...upTo(MAX_CHECKPOINTS - 2), 70_000], steps: 70_000 }],
  ])('with %s: %s', async (_, holds, { every = 1, from = 0, links, steps, failed = false }) => {
    const { bundle, job } = await buildBundle({ checkpoints: { every } });
    const { value } = await openSigned(RECEIPT, bundle.attempts[0]?.receipt as SignedWire);
    const outcome = failed ? ({ kind: 'program-failed', code: 'TRAP', detail: '' } as const) : value.result.outcome;
    const receipt = { ...value, result: { ...value.result, steps, outcome } };
    const rules = checkSchedule(chainOf(links, from), { receipt, job: job.value });
    expect(rules.every(([isMet]) => isMet)).toBe(holds);
  });
});

describe('a chain with its bytes changed', () => {
  it('is never valid, and never an exception', async () => {
    const { bundle, chains } = await buildBundle({ checkpoints: { every: 4 } });
    const [[blob, bytes] = []] = chains;
    if (blob === undefined || bytes === undefined) throw new TypeError('there is one chain');
    const expectRefused = async (changed: Uint8Array): Promise<void> => {
      const { verification } = await assessEvidence(bundle, {}, contentsOf(new Map([[blob, changed]])));
      expect(findCheck(verification.assurances, 'attempt 1: checkpoint chain')?.verdict.kind).toBe('invalid');
    };
    await fc.assert(
      fc.asyncProperty(fc.nat({ max: bytes.length - 1 }), fc.integer({ min: 1, max: 255 }), async (at, mask) => {
        await expectRefused(bytes.map((byte, index) => (index === at ? byte ^ mask : byte)));
      }),
      { numRuns: 60 },
    );
    await fc.assert(fc.asyncProperty(fc.uint8Array({ maxLength: 100 }), expectRefused), { numRuns: 20 });
  });
});

describe('checkpoints of replicas', () => {
  it('says at how many steps the states are the same', async () => {
    const { verification } = await assess({ replicas: 3, checkpoints: { every: 2 } });
    expect(verification.verdict).toBe('valid');
    expect(verification.assurances[1]?.statement).toContain(
      '3 of them committed to the same states at 6 common checkpoints.',
    );
  });

  it('is invalid where equal results came by different states, and names the interval', async () => {
    let replica = 0;
    const lies: CheckpointLies = {
      links: (links) => {
        replica += 1;
        return links.map((link) =>
          replica === 2 && link.step >= 6 ? { ...link, stateRoot: flip(link.stateRoot) } : link,
        );
      },
    };
    const { verification } = await assess({ replicas: 3, checkpoints: { every: 2, lies } });
    const check = findCheck(verification.assurances, 'state roots');
    expect(check?.verdict).toMatchObject({ kind: 'invalid', code: 'WRONG_STATE' });
    expect(JSON.stringify(check)).toContain('attempt 1 and attempt 2 had different states in the interval (4, 6]');
  });

  it('names the interval in which a dissenting replica parts', async () => {
    let replica = 0;
    const checkpoints = {
      every: 2,
      lies: {
        links: (links: readonly ChainLink[]) => {
          replica += 1;
          return links.map((link) =>
            replica === 3 && link.step >= 8 ? { ...link, stateRoot: flip(link.stateRoot) } : link,
          );
        },
      },
    };
    const { verification } = await assess({
      replicas: 3,
      checkpoints,
      lies: { result: (v, index) => (index === 2 ? { ...v, outputs: v.outputs.slice(0, 1) } : v) },
    });
    expect(verification.verdict).toBe('valid');
    expect(verification.assurances[1]?.statement).toContain('Its state first differs in the interval (6, 8].');
  });
});
