import { LEASE, LEASE_ACCEPTANCE } from '../domain/lease.ts';
import { OBSERVATION, type Observation, type ObservationItem } from '../domain/observation.ts';
import { RECEIPT } from '../domain/receipt.ts';
import type { Signed, SignedWire } from '../domain/signed.ts';
import { isDaemonError } from '../lib/errors.ts';
import { openSigned } from '../proofs/signed-object.ts';
import type { ShownEvidence } from './judge-observation.ts';

export type OpenedObservation =
  | { readonly kind: 'opened'; readonly observation: Signed<Observation>; readonly evidence: ShownEvidence }
  | { readonly kind: 'malformed' };

/** Verifies the signatures of an observation and of what it shows. Whose they are is judged by `judgeObservation`. */
export async function openObservation(item: ObservationItem): Promise<OpenedObservation> {
  try {
    const observation = await openSigned(OBSERVATION, item.observation);
    return { kind: 'opened', observation, evidence: await openEvidence(observation.value, item.evidence) };
  } catch (error) {
    if (isDaemonError(error)) return { kind: 'malformed' };
    throw error;
  }
}

/** The kinds follow from the observation; what is there beside them is passed over. */
async function openEvidence(
  { role, receipt }: Observation,
  [first, second]: readonly SignedWire[],
): Promise<ShownEvidence> {
  if (first === undefined) return {};
  if (role === 'requester') return { lease: await openSigned(LEASE, first) };
  if (receipt !== null) return { receipt: await openSigned(RECEIPT, first) };
  const lease = await openSigned(LEASE, first);
  return second === undefined ? { lease } : { lease, acceptance: await openSigned(LEASE_ACCEPTANCE, second) };
}
