import type { Verdict } from '../lib/verdict.ts';

/**
 * How a message of observations, and each observation in it, is judged. `penalty` counts against who passed it on. What is
 * ignored is not passed on.
 */
export const OBSERVATION_RULES = {
  OBSERVATION_TOO_LARGE: { kind: 'reject', penalty: 10, meaning: 'the message is larger than one may be' },
  OBSERVATION_MALFORMED: {
    kind: 'reject',
    penalty: 20,
    meaning: 'it is not a validly signed observation, or its evidence is not validly signed',
  },
  OBSERVATION_WRONG_SIGNER: { kind: 'reject', penalty: 20, meaning: 'its signer is not the observer that it names' },
  OBSERVATION_WRONG_PUBLISHER: {
    kind: 'reject',
    penalty: 20,
    meaning: 'another peer than its observer published it',
  },
  OBSERVATION_OTHER_NETWORK: { kind: 'reject', penalty: 20, meaning: 'it belongs to another network' },
  OBSERVATION_OF_ITSELF: { kind: 'reject', penalty: 20, meaning: 'observer and subject are the same peer' },
  OBSERVATION_EMPTY: { kind: 'reject', penalty: 10, meaning: 'it says nothing in any dimension' },
  OBSERVATION_WRONG_EPOCH: { kind: 'reject', penalty: 10, meaning: 'its epoch is not that of its time' },
  OBSERVATION_FOREIGN_EVIDENCE: {
    kind: 'reject',
    penalty: 20,
    meaning: 'what it shows is not signed by its subject, or is of another job, lease or counterparty',
  },
  OBSERVATION_CONTRADICTED: { kind: 'reject', penalty: 20, meaning: 'its own evidence says the opposite' },
  OBSERVATION_MISRATED: {
    kind: 'reject',
    penalty: 20,
    meaning:
      'it rates and says something else too, rates another than a provider that shows its receipt of a result, or has another time than that receipt',
  },
  OBSERVATION_FLOOD: {
    kind: 'reject',
    penalty: 2,
    meaning: 'the neighbour itself is the observer, and publishes too often',
  },
  OBSERVATION_OBSERVER_RATE: {
    kind: 'ignore',
    penalty: 0,
    meaning: 'its observer publishes too often; the neighbour only passed it on',
  },
  OBSERVATION_RATE: { kind: 'ignore', penalty: 0, meaning: 'the neighbour passes on too many messages' },
  OBSERVATION_UNCHECKED: {
    kind: 'ignore',
    penalty: 0,
    meaning: 'its evidence did not come with it; it weighs nothing until its observer has shown it',
  },
  OBSERVATION_TOO_OLD: {
    kind: 'ignore',
    penalty: 0,
    meaning: 'its epoch is folded into the snapshots already',
  },
  OBSERVATION_NOT_YET: { kind: 'ignore', penalty: 0, meaning: 'it was made more than 30 s in the future' },
  OBSERVATION_SEEN: { kind: 'ignore', penalty: 0, meaning: 'it came before' },
  OBSERVATION_LEASE_TAKEN: {
    kind: 'ignore',
    penalty: 0,
    meaning: 'its observer gave another observation, or another rating, of the same lease, which stands',
  },
  OBSERVATION_OVER_CAP: {
    kind: 'ignore',
    penalty: 0,
    meaning: 'as many unpaid observations, or ratings, of this pair of peers as count in one epoch are here already',
  },
  OBSERVATION_CROWDED_OUT: {
    kind: 'ignore',
    penalty: 0,
    meaning: 'there is no room for it: those that are kept weigh more, or are newer',
  },
  OBSERVATION_UNSERVED: { kind: 'ignore', penalty: 0, meaning: 'this node keeps no observations now' },
} as const satisfies Record<string, { kind: 'ignore' | 'reject'; penalty: number; meaning: string }>;
export type ObservationRuleCode = keyof typeof OBSERVATION_RULES;

export type ObservationRefusal = Exclude<Verdict, { readonly kind: 'accept' }> & {
  readonly code: ObservationRuleCode;
};

export function refuseObservation(code: ObservationRuleCode): ObservationRefusal {
  const rule = OBSERVATION_RULES[code];
  return rule.kind === 'reject' ? { kind: 'reject', code, penalty: rule.penalty } : { kind: 'ignore', code };
}
