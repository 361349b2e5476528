import { BUNDLE, type Bundle, type BundleAttempt } from '../domain/bundle.ts';
import { encodeObject } from '../domain/object-type.ts';
import type { SignedWire } from '../domain/signed.ts';

type Inherited = NonNullable<BundleAttempt['inherited']>;

/**
 * Leaves out what the root block has no room for: first the checkpoints between the first and the one that was taken over,
 * then the oldest inherited attempts, half of them at a time. Who verifies the file is told what is missing.
 */
export function fitRoot(bundle: Bundle): Bundle {
  let fitted = bundle;
  let longest = Math.max(0, ...bundle.attempts.map(({ inherited }) => inherited?.length ?? 0));
  if (longest === 0 || fits(fitted)) return fitted;
  fitted = mapInherited(bundle, (inherited) => inherited.map(keepEnds));
  while (!fits(fitted) && longest > 1) {
    longest = Math.ceil(longest / 2);
    const newest = longest;
    fitted = mapInherited(fitted, (inherited) => inherited.slice(-newest));
  }
  return fitted;
}

function fits(bundle: Bundle): boolean {
  const signed = bundle.attempts.flatMap(({ inherited = [] }) => inherited).flatMap(listWires);
  // What is far too large is not encoded to find that out: it may be a hundred times as much.
  const leastBytes = signed.reduce(
    (sum, wire) => sum + (wire.kind === 'batch' ? wire.payload : wire.envelope).length,
    0,
  );
  return leastBytes <= BUNDLE.maxBytes && encodeObject(BUNDLE, bundle).length <= BUNDLE.maxBytes;
}

function listWires({ lease, acceptance, checkpoints }: Inherited[number]): readonly SignedWire[] {
  return [lease, acceptance, ...checkpoints];
}

function keepEnds(attempt: Inherited[number]): Inherited[number] {
  const { checkpoints } = attempt;
  return checkpoints.length <= 2
    ? attempt
    : { ...attempt, checkpoints: [...checkpoints.slice(0, 1), ...checkpoints.slice(-1)] };
}

function mapInherited(bundle: Bundle, change: (inherited: Inherited) => Inherited): Bundle {
  return {
    ...bundle,
    attempts: bundle.attempts.map((attempt) =>
      attempt.inherited === undefined ? attempt : { ...attempt, inherited: change(attempt.inherited) },
    ),
  };
}
