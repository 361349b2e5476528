import { CHECKPOINT, type Checkpoint } from '../../domain/checkpoint.ts';
import type { CheckpointSchedule, Job } from '../../domain/job.ts';
import type { Lease } from '../../domain/lease.ts';
import type { Signed, SignedWire } from '../../domain/signed.ts';
import { SNAPSHOT } from '../../domain/snapshot.ts';
import { isFuelWithin } from '../../domain/workload.ts';
import { openSigned } from '../../proofs/signed-object.ts';
import { verifyCheckpoint } from '../../proofs/verify-chain.ts';
import { CLOCK_SKEW_MS } from '../constants.ts';
import { type Checked, checkOpened, checkRules, invalid } from './checked.ts';

export const CHECKPOINT_INVALID = 'CHECKPOINT_INVALID';

export interface CheckpointExpectation {
  readonly job: Signed<Job>;
  readonly lease: Signed<Lease>;
  /** The newest one of the attempt; null before the first. */
  readonly previous: Checkpoint | null;
  /** Fuel of the checkpoint that the lease goes on from; null where it begins at the beginning, or it is not known. */
  readonly resumedFuel: number | null;
  readonly nowMs: number;
}

/** Opens a checkpoint of this lease; whether it is the next one, or one that was seen, is judged by its index. */
export async function openCheckpoint(wire: SignedWire, lease: Signed<Lease>): Promise<Checked<Signed<Checkpoint>>> {
  const opened = await checkOpened(CHECKPOINT_INVALID, () => openSigned(CHECKPOINT, wire, lease.value.provider));
  if (opened.kind === 'invalid') return opened;
  return checkRules(CHECKPOINT_INVALID, opened.value, [
    [opened.value.value.lease === (lease.id as string), 'it is for another lease'],
  ]);
}

/**
 * A further link of a chain (docs/stepping.md sections 2 and 5): it follows on the one before and on the job's schedule.
 * Links between may be missing after a long time out of touch; the receipt's chain closes the gap.
 */
export function checkNextCheckpoint(
  checkpoint: Signed<Checkpoint>,
  expected: CheckpointExpectation,
): Checked<Signed<Checkpoint>> {
  const { job, lease, previous, resumedFuel, nowMs } = expected;
  const { value } = checkpoint;
  const { schedule } = job.value.checkpoints ?? {};
  if (schedule === undefined) return invalid(CHECKPOINT_INVALID, 'the job makes no checkpoints');
  const chained = verifyCheckpoint(checkpoint, { job, lease, previous });
  if (!chained.ok) return invalid(CHECKPOINT_INVALID, chained.problem.detail);
  // A program that was started again, on the same provider or another, counts its own fuel.
  const isOwnFuel = schedule.kind === 'rounds';
  return checkRules(CHECKPOINT_INVALID, checkpoint, [
    [value.index === 0 || fitsSchedule(value, describePlace(expected), schedule), describeMisfit(value, schedule)],
    [isOwnFuel || (value.fuel ?? 0) >= (previous?.fuel ?? 0), `its fuel ${value.fuel} is below that of the one before`],
    [isFuelWithin(value.fuel, job.value), `its fuel ${value.fuel ?? 'none'} is not within the limit of the job`],
    [
      value.index > 0 || isOwnFuel || resumedFuel === null || value.fuel === resumedFuel,
      `it goes on with ${value.fuel} units of fuel, not the ${resumedFuel} of the state it was given`,
    ],
    [value.atMs >= lease.value.issuedAtMs - CLOCK_SKEW_MS, 'it was made before the lease was issued'],
    [value.atMs <= nowMs + CLOCK_SKEW_MS, 'it was made in the future'],
    [(value.snapshot?.sizeBytes ?? 0) <= SNAPSHOT.maxBytes, 'its snapshot is larger than any can be'],
  ]);
}

interface Place {
  readonly index: number;
  readonly step: number;
  /** Null where it does not count: fuel that `fogproof_init` used does not move the first checkpoint. */
  readonly fuel: number | null;
}

/** Where the links before this one have come to, as far as is known. */
function describePlace({ previous, lease, resumedFuel }: CheckpointExpectation): Place {
  const { resume } = lease.value;
  if (previous === null) return { index: 0, step: resume?.step ?? 0, fuel: resumedFuel };
  return previous.index === 0 && resume === undefined ? { ...previous, fuel: null } : previous;
}

/** What is told while an attempt runs are scheduled links; the one at its end comes with the receipt's chain. */
function fitsSchedule(value: Checkpoint, place: Place, { kind, every }: CheckpointSchedule): boolean {
  const links = value.index - place.index;
  switch (kind) {
    case 'steps':
      return value.step === passMultiples(place.step, every, links);
    case 'fuel':
      return (value.fuel ?? 0) >= passMultiples(place.fuel ?? 0, every, links);
    case 'rounds':
      return value.step >= passMultiples(place.step, every, links);
    default:
      return kind satisfies never;
  }
}

const passMultiples = (value: number, every: number, count: number): number =>
  (Math.floor(value / every) + count) * every;

function describeMisfit({ step, fuel }: Checkpoint, { kind, every }: CheckpointSchedule): string {
  return `step ${step} with ${fuel ?? 'no'} units of fuel is no checkpoint of the job (${kind}: every ${every})`;
}
