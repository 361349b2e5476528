import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { BlobId, PeerKey } from '../../../../../src/domain/ids.ts';
import { refusalSchema } from '../../../../../src/domain/refusal.ts';
import { computeRawId } from '../../../../../src/lib/cid.ts';
import {
  decide,
  NO_USAGE,
  type PolicyTask,
  type RequesterUsage,
} from '../../../../../src/scheduler/provider/policy/decide.ts';
import {
  compilePolicy,
  OPEN_POLICY,
  type PolicyOptions,
} from '../../../../../src/scheduler/provider/policy/operator-policy.ts';

const NOW = Date.parse('2026-01-05T12:00:00Z');
const PEERS = ['ada', 'berta', 'cora'].map((name) => name as PeerKey);
const IMAGES = [1, 2, 3].map((byte) => computeRawId(new Uint8Array([byte])) as BlobId);
const NETWORKS = ['lab', 'home'];
const ANYONE = { allowRequesters: 'anyone' as const, trustedRequesters: [] };
const TASK: PolicyTask = {
  requester: PEERS[0] as PeerKey,
  isOwn: false,
  network: 'lab',
  kind: 'wasm',
  images: [IMAGES[0] as BlobId],
  attempts: 1,
};

const orAny = <Item>(items: readonly Item[]) => fc.oneof(fc.constant('any' as const), fc.subarray([...items]));
const quota = fc.option(fc.integer({ min: 1, max: 20 }));
const policies: fc.Arbitrary<PolicyOptions> = fc.record({
  allow: fc.record({ kinds: orAny(['wasm'] as const), images: orAny(IMAGES), networks: orAny(NETWORKS) }),
  deny: fc.record({
    kinds: fc.subarray(['wasm'] as const).map((kinds) => [...kinds]),
    images: fc.subarray([...IMAGES]),
    requesters: fc.subarray([...PEERS]),
    networks: fc.subarray(NETWORKS),
  }),
  quotas: fc.record({ concurrentAttempts: quota, attemptsPerHour: quota, cpuTimePerDayMs: quota }),
  quietHours: fc.record({ zone: fc.constant('UTC'), windows: fc.subarray(['10:00-14:00', '22:00-06:00']) }),
});
const requesters = fc.record({
  allowRequesters: fc.oneof(fc.constant('anyone' as const), fc.subarray([...PEERS])),
  trustedRequesters: fc.subarray([...PEERS]),
});
const tasks: fc.Arbitrary<PolicyTask> = fc.record({
  requester: fc.constantFrom(...PEERS),
  isOwn: fc.boolean(),
  network: fc.constantFrom(...NETWORKS),
  kind: fc.constant('wasm'),
  images: fc.option(fc.subarray([...IMAGES])),
  attempts: fc.integer({ min: 1, max: 10 }),
});
const figure = fc.integer({ min: 0, max: 30 });
const usages: fc.Arbitrary<RequesterUsage> = fc.record({
  concurrentAttempts: figure,
  attemptsLastHour: figure,
  cpuTimeLastDayMs: figure,
  nextHourlyReliefMs: figure,
  nextDailyReliefMs: figure,
});

function ruleOf(options: Partial<PolicyOptions>, task: Partial<PolicyTask> = {}, usage: Partial<RequesterUsage> = {}) {
  const policy = compilePolicy({ ...OPEN_POLICY, ...options }, ANYONE);
  const decision = decide({ ...TASK, ...task }, policy, { ...NO_USAGE, ...usage }, NOW);
  return decision.kind === 'allow' ? 'allow' : `${decision.rule} ${decision.code}`;
}

describe('a policy', () => {
  it('that says nothing lets everybody in', () => {
    expect(ruleOf({})).toBe('allow');
  });

  it.each([
    [{ deny: { ...OPEN_POLICY.deny, networks: ['lab'] } }, 'policy.deny.networks NETWORK_NOT_ALLOWED'],
    [{ deny: { ...OPEN_POLICY.deny, requesters: [TASK.requester] } }, 'policy.deny.requesters REQUESTER_NOT_ALLOWED'],
    [{ deny: { ...OPEN_POLICY.deny, kinds: ['wasm'] } }, 'policy.deny.kinds KIND_NOT_ALLOWED'],
    [{ deny: { ...OPEN_POLICY.deny, images: IMAGES.slice(0, 1) } }, 'policy.deny.images IMAGE_NOT_ALLOWED'],
    [{ allow: { ...OPEN_POLICY.allow, networks: ['home'] } }, 'policy.allow.networks NETWORK_NOT_ALLOWED'],
    [{ allow: { ...OPEN_POLICY.allow, kinds: [] } }, 'policy.allow.kinds KIND_NOT_ALLOWED'],
    [{ allow: { ...OPEN_POLICY.allow, images: IMAGES.slice(1) } }, 'policy.allow.images IMAGE_NOT_ALLOWED'],
    [{ quietHours: { zone: 'UTC', windows: ['11:00-13:00'] } }, 'policy.quietHours QUIET_HOURS'],
  ] as readonly (readonly [Partial<PolicyOptions>, string])[])('%j refuses with %s', (options, rule) => {
    expect(ruleOf(options)).toBe(rule);
  });

  it('names images as they are, or by their digest', () => {
    const image = computeRawId(new TextEncoder().encode('x')) as BlobId;
    const named = 'sha256:2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881';
    expect(ruleOf({ deny: { ...OPEN_POLICY.deny, images: [named] } }, { images: [image] })).toContain('deny.images');
    expect(ruleOf({ allow: { ...OPEN_POLICY.allow, images: [named] } }, { images: [image] })).toBe('allow');
  });

  it('allows an image of parts by what leads to them, and denies it by any', () => {
    const [image, layer] = ['image', 'layer'].map((text) => computeRawId(new TextEncoder().encode(text)) as BlobId);
    if (image === undefined || layer === undefined) throw new TypeError('two ids');
    const task = { images: [image, layer], leadingImages: [image] };
    expect(ruleOf({ allow: { ...OPEN_POLICY.allow, images: [image] } }, task)).toBe('allow');
    expect(ruleOf({ allow: { ...OPEN_POLICY.allow, images: [layer] } }, task)).toContain('policy.allow.images');
    expect(ruleOf({ deny: { ...OPEN_POLICY.deny, images: [layer] } }, task)).toContain('policy.deny.images');
  });

  it('with a list of images refuses what names none, once it is known what it runs', () => {
    const allow = { ...OPEN_POLICY.allow, images: IMAGES };
    expect(ruleOf({ allow }, { images: [] })).toContain('policy.allow.images');
    expect(ruleOf({ allow }, { images: null })).toBe('allow');
  });

  it('has quotas for others, not for the jobs of its own node', () => {
    const quotas = { concurrentAttempts: 2, attemptsPerHour: 10, cpuTimePerDayMs: 1_000 };
    expect(ruleOf({ quotas }, {}, { concurrentAttempts: 1, attemptsLastHour: 9, cpuTimeLastDayMs: 999 })).toBe('allow');
    expect(ruleOf({ quotas }, {}, { concurrentAttempts: 2 })).toBe('policy.quotas.concurrentAttempts QUOTA_EXCEEDED');
    expect(ruleOf({ quotas }, {}, { attemptsLastHour: 10 })).toBe('policy.quotas.attemptsPerHour QUOTA_EXCEEDED');
    expect(ruleOf({ quotas }, {}, { cpuTimeLastDayMs: 1_000 })).toBe('policy.quotas.cpuTimePerDayMs QUOTA_EXCEEDED');
    expect(ruleOf({ quotas }, { isOwn: true }, { concurrentAttempts: 99, cpuTimeLastDayMs: 9_999 })).toBe('allow');
  });

  it('refuses what is on a list of denials, whatever is allowed (property)', () => {
    fc.assert(
      fc.property(policies, requesters, tasks, usages, (options, lists, task, usage) => {
        const isDenied =
          options.deny.networks.includes(task.network) ||
          options.deny.requesters.includes(task.requester) ||
          options.deny.kinds.includes(task.kind) ||
          task.images?.some((image) => options.deny.images.includes(image)) === true;
        const decision = decide(task, compilePolicy(options, lists), usage, NOW);
        if (isDenied)
          expect(decision).toMatchObject({ kind: 'refusal', rule: expect.stringMatching(/^policy\.deny\./) });
        else if (decision.kind === 'refusal') expect(decision.rule).not.toMatch(/^policy\.deny\./);
      }),
    );
  });

  it('gives the same reason again, and the first of several whatever follows it (property)', () => {
    fc.assert(
      fc.property(policies, requesters, tasks, usages, (options, lists, task, usage) => {
        const decision = decide(task, compilePolicy(options, lists), usage, NOW);
        expect(decide(task, compilePolicy(options, lists), usage, NOW)).toEqual(decision);
        if (decision.kind === 'allow' || decision.rule.startsWith('policy.quotas')) return;
        // What the requester has used decides nothing where an earlier rule has.
        const busy = { ...usage, concurrentAttempts: 1_000, attemptsLastHour: 1_000, cpuTimeLastDayMs: 1_000 };
        expect(decide(task, compilePolicy(options, lists), busy, NOW)).toEqual(decision);
      }),
    );
  });

  it('that refuses somebody does not let him in once he has used more, or asks for more (property)', () => {
    const more = fc.record({ concurrent: figure, hour: figure, day: figure, attempts: figure });
    const twice = fc.tuple(usages, more);
    fc.assert(
      fc.property(policies, requesters, tasks, twice, (options, lists, task, [usage, added]) => {
        const policy = compilePolicy(options, lists);
        const before = decide(task, policy, usage, NOW);
        const after = decide(
          { ...task, attempts: task.attempts + added.attempts },
          policy,
          {
            ...usage,
            concurrentAttempts: usage.concurrentAttempts + added.concurrent,
            attemptsLastHour: usage.attemptsLastHour + added.hour,
            cpuTimeLastDayMs: usage.cpuTimeLastDayMs + added.day,
          },
          NOW,
        );
        if (before.kind === 'refusal') expect(after.kind).toBe('refusal');
      }),
    );
  });

  it('tells whoever asked nothing of its lists, in a form that may be sent (property)', () => {
    fc.assert(
      fc.property(policies, requesters, tasks, usages, (options, lists, task, usage) => {
        const decision = decide(task, compilePolicy(options, lists), usage, NOW);
        if (decision.kind === 'allow') return;
        const { code, message, retryAfterMs } = decision;
        const sent = { code, detail: message, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) };
        expect(refusalSchema.safeParse(sent).success).toBe(true);
        for (const listed of [...PEERS, ...IMAGES]) expect(message).not.toContain(listed);
      }),
    );
  });
});
