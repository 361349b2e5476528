import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CHECKPOINT_CHAIN, MAX_CHECKPOINTS } from '../../../../../src/domain/checkpoint.ts';
import { JobId, LeaseId, UnixMs } from '../../../../../src/domain/ids.ts';
import { decodeObject } from '../../../../../src/domain/object-type.ts';
import { encodeUtf8 } from '../../../../../src/lib/bytes.ts';
import { computeObjectId, computeRawId } from '../../../../../src/lib/cid.ts';
import { computeInputRoot } from '../../../../../src/proofs/checkpoint-chain.ts';
import { verifyChain } from '../../../../../src/proofs/verify-chain.ts';
import { AttemptChain } from '../../../../../src/scheduler/provider/checkpoints/attempt-chain.ts';
import { JOURNALLED_LINK_CODEC } from '../../../../../src/scheduler/provider/checkpoints/attempt-journal.ts';
import {
  ATTEMPT_ORIGIN_CODEC,
  ATTEMPT_SIGN_CODEC,
  MAX_GENERATIONS,
  SEQUENCES_PER_GENERATION,
} from '../../../../../src/scheduler/provider/checkpoints/attempt-origin.ts';
import { chooseThinned } from '../../../../../src/scheduler/provider/checkpoints/choose-thinned.ts';
import { SNAPSHOT_DUTY_CODEC } from '../../../../../src/scheduler/provider/checkpoints/snapshot-duties.ts';
import { SnapshotPacer } from '../../../../../src/scheduler/provider/checkpoints/snapshot-pacer.ts';
import type { Codec } from '../../../../../src/storage/interface.ts';

const hash = fc.uint8Array({ minLength: 32, maxLength: 32 });
const count = fc.nat({ max: 2 ** 31 });
const index = fc.nat({ max: MAX_CHECKPOINTS });
const bytes = fc.uint8Array({ maxLength: 64 });
const envelope = bytes.map((value) => ({ kind: 'envelope' as const, envelope: value }));
const atMs = count.map((value) => UnixMs(value));
const text = fc.string({ maxLength: 40 });
const version = fc.constant(1 as const);

describe('rows of the journal', () => {
  const rows: readonly (readonly [string, Codec<never>, fc.Arbitrary<unknown>])[] = [
    [
      'an origin',
      ATTEMPT_ORIGIN_CODEC as never,
      fc.record({ version, job: envelope, lease: envelope, snapshotKey: fc.option(hash) }),
    ],
    [
      'a sign of life',
      ATTEMPT_SIGN_CODEC as never,
      fc.record({
        version,
        generation: fc.nat({ max: MAX_GENERATIONS }),
        atMs,
        linksBefore: index,
        wallTimeMs: count,
        cpuTimeMs: count,
        heldIndex: fc.option(index),
      }),
    ],
    [
      'a link',
      JOURNALLED_LINK_CODEC as never,
      fc.record({ index: count, sequence: count.map((value) => value + 1), atMs, wire: envelope }),
    ],
    [
      'a duty',
      SNAPSHOT_DUTY_CODEC as never,
      fc.record({
        version,
        job: text,
        requester: text,
        provider: text,
        holder: text,
        startStep: count,
        keptUntilMs: atMs,
      }),
    ],
  ];

  it.each(rows)('%s survives the disk, and garbage is refused', (_, codec, arbitrary) => {
    fc.assert(
      fc.property(arbitrary, (value) => {
        expect(codec.decode(codec.encode(value as never))).toEqual(value);
      }),
    );
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (garbage) => {
        expect(() => codec.decode(garbage)).toThrow();
      }),
    );
  });

  it('number events so that requesters can order them by ten digits', () => {
    expect((MAX_GENERATIONS + 1) * SEQUENCES_PER_GENERATION).toBeLessThanOrEqual(10 ** 10);
  });
});

describe('the chain of an attempt', () => {
  const id = (name: string): string => computeObjectId(encodeUtf8(name));
  const owner = { job: JobId(id('job')), lease: LeaseId(id('lease')) };
  const job = {
    workload: {
      kind: 'wasm' as const,
      module: computeRawId(encodeUtf8('module')) as never,
      moduleSizeBytes: 8,
      abi: 'fogproof' as const,
      arguments: [],
      environment: {},
      seed: new Uint8Array(32),
    },
    inputs: [],
  };

  it('is verified by whoever has job, lease and receipt', () => {
    const link = fc.record({ gap: fc.integer({ min: 1, max: 1_000 }), stateRoot: hash, metricsHash: hash, atMs });
    fc.assert(
      fc.property(fc.array(link, { maxLength: 20 }), fc.option(hash), hash, (links, parent, stateRoot) => {
        const start = { step: parent === null ? 0 : 7, parent, stateRoot };
        const chain = new AttemptChain(owner, computeInputRoot(job), start);
        let { step } = start;
        for (const { gap, ...rest } of links) {
          step += gap;
          chain.append({ ...rest, step });
        }
        const { root, bytes: encoded, links: length } = chain.encode();
        const resume = parent === null ? {} : { resume: { step: 7, head: parent, stateRoot } as never };
        const checked = verifyChain(decodeObject(CHECKPOINT_CHAIN, encoded), {
          job: { id: owner.job, value: job },
          lease: { id: owner.lease, value: { provider: 'p' as never, ...resume } },
          receipt: { checkpointRoot: root, checkpointChain: { blob: 'b' as never, sizeBytes: 1, links: length } },
        });
        expect(checked).toMatchObject({ ok: true });
        expect(chain.lastStep).toBe(step);
      }),
      { numRuns: 30 },
    );
  });
});

describe('thinning', () => {
  const steps = fc
    .uniqueArray(fc.integer({ min: 1, max: 10_000 }), { maxLength: 60 })
    .map((values) => values.sort((a, b) => a - b));

  it('leaves so many, the newest two among them', () => {
    fc.assert(
      fc.property(steps, fc.integer({ min: 0, max: 20 }), (all, max) => {
        const thinned = new Set(chooseThinned(all, 0, max));
        const kept = all.filter((step) => !thinned.has(step));
        expect(kept).toHaveLength(Math.min(all.length, Math.max(2, max)));
        expect(kept.slice(-2)).toEqual(all.slice(-2));
      }),
    );
  });

  it('keeps the distances even while snapshots come one by one', () => {
    let kept: number[] = [];
    for (let step = 10; step <= 10_000; step += 10) {
      kept.push(step);
      const thinned = new Set(chooseThinned(kept, 0, 16));
      kept = kept.filter((candidate) => !thinned.has(candidate));
    }
    const gaps = kept.slice(0, -2).map((step, index) => step - (kept[index - 1] ?? 0));
    expect(kept).toHaveLength(16);
    // Doubling: a gap is at most some four times another; without thinning by gaps it would be hundreds of times.
    expect(Math.max(...gaps) / Math.min(...gaps)).toBeLessThanOrEqual(4);
    expect(Math.max(...gaps)).toBeLessThanOrEqual((4 * 10_000) / 16);
  });
});

describe('the pace of snapshots', () => {
  it('is one at first, one that tells what a change costs, then as many as fit the share', () => {
    const pacer = new SnapshotPacer({ share: 0.1, beganAtMs: 1_000 });
    expect(pacer.isDue(1_000)).toBe(true);
    pacer.spend(50);
    expect(pacer.isDue(1_099)).toBe(false);
    expect(pacer.isDue(1_100)).toBe(true);
    pacer.spend(10);
    expect(pacer.isDue(1_249)).toBe(false);
    expect(pacer.isDue(1_250)).toBe(true);
    pacer.spend(30);
    expect(pacer.isDue(1_749)).toBe(false);
    expect(pacer.isDue(1_750)).toBe(true);
  });

  it('never lets those after the second take more than the share of what the run lasted beside the first', () => {
    const duration = fc.integer({ min: 1, max: 40 });
    fc.assert(
      fc.property(duration, fc.array(fc.integer({ min: 0, max: 500 }), { maxLength: 100 }), (costMs, waits) => {
        const pacer = new SnapshotPacer({ share: 0.1, beganAtMs: 0 });
        let [nowMs, made] = [0, 0];
        for (const waitMs of waits) {
          nowMs += waitMs;
          if (!pacer.isDue(nowMs)) continue;
          nowMs += costMs;
          made += 1;
          pacer.spend(costMs);
          if (made > 2) expect((made - 1) * costMs).toBeLessThanOrEqual(0.1 * (nowMs - costMs));
        }
      }),
    );
  });
});
