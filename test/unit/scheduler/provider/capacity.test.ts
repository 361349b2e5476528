import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ATTEMPT_OVERHEAD_BYTES } from '../../../../src/scheduler/provider/constants.ts';
import { JOB_PROVIDER_DEFAULTS } from '../../../../src/scheduler/provider/options.ts';
import { FakeHostCapacity } from '../../../support/fake-host-capacity.ts';
import { settle } from '../../../support/provider-clock.ts';
import { type AnswerLog, type LeasedWork, leaseIdOf, PARAMETERS, ProviderRig } from '../../../support/provider-rig.ts';

const SLOTS = 3;
/** Of one of the jobs below. */
const FOOTPRINT_BYTES = 65_536 + ATTEMPT_OVERHEAD_BYTES;

type Step =
  | { readonly kind: 'offer'; readonly size: number; readonly isReplicated: boolean }
  | { readonly kind: 'lease' | 'cancel' | 'close' | 'drop' | 'finish' | 'crash' | 'throw'; readonly pick: number }
  | { readonly kind: 'wait'; readonly ms: number }
  | { readonly kind: 'disk'; readonly isFull: boolean };

const pick = fc.nat({ max: 20 });
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('offer' as const),
      size: fc.integer({ min: 1, max: 4 }),
      isReplicated: fc.boolean(),
    }),
  },
  {
    weight: 9,
    arbitrary: fc.record({
      kind: fc.constantFrom('lease', 'lease', 'lease', 'cancel', 'close', 'drop', 'finish', 'finish', 'crash', 'throw'),
      pick,
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('wait' as const), ms: fc.integer({ min: 1, max: 6_000 }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('disk' as const), isFull: fc.boolean() }) },
);

/** A requester that does anything at any time, and a host that fails at any time. */
class Chaos {
  readonly rig: ProviderRig;
  readonly works: LeasedWork[] = [];
  readonly logs: AnswerLog[] = [];
  readonly #requester: Awaited<ReturnType<ProviderRig['requester']>>;

  constructor(rig: ProviderRig, requester: Awaited<ReturnType<ProviderRig['requester']>>) {
    this.rig = rig;
    this.#requester = requester;
    rig.executor.behaviour = () => undefined;
  }

  async apply(step: Step): Promise<void> {
    switch (step.kind) {
      case 'offer':
        return await this.#offer(step.size, step.isReplicated);
      case 'wait':
        return await this.rig.clock.advance(step.ms);
      case 'disk':
        this.rig.database.onWrite = step.isFull ? failWrite : undefined;
        return;
      case 'lease':
      case 'cancel':
      case 'close':
        return await this.#send(step.kind, step.pick);
      case 'drop':
        return this.logs[step.pick % Math.max(1, this.logs.length)]?.drop();
      case 'finish':
      case 'crash':
      case 'throw':
        return this.#end(step.kind, step.pick);
      default:
        step satisfies never;
    }
  }

  async #offer(size: number, isReplicated: boolean): Promise<void> {
    const replication = { replicas: isReplicated ? 2 : 1, quorum: isReplicated ? 2 : 1, diversity: 'peer' } as const;
    const jobs = Array.from({ length: size }, () => this.#requester.describeJob({ replication }));
    const work = await this.#requester.prepare(await this.#requester.signJobs(...jobs)).catch(() => undefined);
    if (work !== undefined) this.works.push(work);
  }

  async #send(op: 'lease' | 'cancel' | 'close', pick: number): Promise<void> {
    const work = this.works[pick % Math.max(1, this.works.length)];
    if (work === undefined) return;
    const leases = work.leases.map(leaseIdOf);
    if (op === 'lease') this.logs.push(this.#requester.lease(work));
    else await this.#requester.sendOne({ op, leases, reason: 'chaos' } as never).catch(() => undefined);
  }

  #end(kind: 'finish' | 'crash' | 'throw', pick: number): void {
    const { held } = this.rig.executor;
    const execution = held[pick % Math.max(1, held.length)];
    const outcome = { kind: 'attempt-failed', code: 'EXECUTOR_CRASHED', detail: '' } as const;
    if (kind === 'finish') execution?.finish();
    else if (kind === 'crash') execution?.finish({ outcome, outputs: [] });
    else execution?.crash(new RangeError('host'));
  }
}

function failWrite(): void {
  throw new RangeError('disk full');
}

describe('capacity', () => {
  it('is neither leaked nor overdrawn, whatever a requester and the host do', { timeout: 60_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { minLength: 20, maxLength: 40 }),
        fc.integer({ min: 1, max: 5 }),
        async (steps, fitting) => {
          const host = new FakeHostCapacity();
          host.setMemory({ availableBytes: fitting * FOOTPRINT_BYTES + JOB_PROVIDER_DEFAULTS.host.reserveMemoryBytes });
          const rig = await ProviderRig.start({ host, provider: { slots: SLOTS } });
          const most = Math.min(SLOTS, fitting);
          const chaos = new Chaos(rig, await rig.requester());
          for (const step of steps) {
            await chaos.apply(step);
            await settle(2);
            const { total, reserved, running } = rig.provider.status().slots;
            expect(total).toBe(SLOTS);
            expect(reserved + running).toBeLessThanOrEqual(most);
            expect(reserved).toBeGreaterThanOrEqual(0);
            expect(running).toBe(rig.executor.running);
          }
          await quieten(rig);
          expect(rig.provider.status()).toMatchObject({
            slots: { total: SLOTS, reserved: 0, running: 0 },
            queue: { attempts: 0 },
            attempts: [],
          });
          expect(rig.executor.peak).toBeLessThanOrEqual(most);
          await provesFree(rig, most);
        },
      ),
      // 40 runs of 20 to 40 steps: over 1,000 sequences of offer, lease, cancellation, expiry and crash.
      { numRuns: 40 },
    );
  });
});

/** Long enough for every offer and every lease to run out, with a disk that works again. */
async function quieten(rig: ProviderRig): Promise<void> {
  rig.database.onWrite = undefined;
  rig.executor.behaviour = (execution) => execution.finish();
  for (let turn = 0; turn < 4; turn += 1) {
    await rig.clock.advance(PARAMETERS.offerTtlMs + PARAMETERS.leaseDurationMs);
    await settle();
  }
}

/** All slots can be offered again at once. */
async function provesFree(rig: ProviderRig, slots: number): Promise<void> {
  const requester = await rig.requester(7);
  for (let slot = 0; slot < slots; slot += 1) {
    const { offer } = await requester.prepare();
    expect(offer.value.startsWithinMs).toBeUndefined();
  }
  expect((await requester.prepare()).offer.value.startsWithinMs).toBeGreaterThan(0);
}
