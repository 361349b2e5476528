import type { Random } from '../../../lib/random.ts';
import { ANSWER_DELAY_MS } from './constants.ts';

export interface AnswerSituation {
  /** Share of the slots in use, 0 to 1. */
  readonly load: number;
  /** Others that take jobs, as far as is known. */
  readonly providers: number;
  /** Offers that the requester looks for. */
  readonly wanted: number;
}

/** How long to wait before an announcement is answered, whole ms: the requester is to be offered little more than it wants. */
export function computeAnswerDelay({ load, providers, wanted }: AnswerSituation, random: Random): number {
  const { base, perProvider, mostForProviders, perLoad } = ANSWER_DELAY_MS;
  const crowdMs = Math.min(mostForProviders, (perProvider * providers) / Math.max(1, wanted));
  const loadMs = perLoad * Math.min(1, Math.max(0, load));
  // The load shifts the time as a whole, so that an idle provider is first in most cases and not on average only.
  return Math.floor(loadMs / 2 + drawShare(random) * (base + crowdMs + loadMs / 2));
}

/** From 0 to less than 1, evenly. */
function drawShare(random: Random): number {
  const bytes = random.bytes(4);
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(0) / 2 ** 32;
}
