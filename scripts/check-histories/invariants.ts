/** Everything that is proven or refuted, in the order in which it is reported. */
export const INVARIANTS = {
  'entries-parse': 'every entry of every namespace has its form',
  'acknowledged-jobs-kept': 'every job that a client was told of is there',
  'jobs-signed': 'every job has its id and is signed by its requester',
  'histories-legal': 'every event of every history is legal, and none is missing',
  'jobs-ended': 'every job ended in exactly one terminal state, or can go on where that is allowed',
  'summaries-match': 'what is told of an ended job is what its history gives',
  'batches-filled': 'every place of a batch got one job of its own, which is there',
  'attempts-leased': 'every attempt belongs to one lease, signed by the requester and as the history has it',
  'leases-accepted': 'an attempt counts as accepted exactly if its provider countersigned its lease, once',
  'leases-run-once': 'no lease is known to two providers or to one that it does not name',
  'leases-known':
    'every lease that a provider has is one that its requester issued, and none that is counted on is forgotten',
  'provider-records-whole': 'what a provider has of a lease is complete for its phase, and signed by it',
  'leases-concluded': 'no lease of a stopped provider is left half way unless it can be gone on with',
  'results-once': 'a replica has at most one result, a job accepts at most one, and it is one that was given',
  'receipts-verify': 'signatures, lease, job, openings of commitments and set signatures of results hold',
  'receipts-in-lease': 'every result was given within its lease, by times and signed progress',
  'receipts-agree': 'requester and provider have the same receipt and commitment for a lease',
  'blobs-whole': 'every blob that a node says it has is there and hashes to its name',
  'blobs-kept': 'every blob that a live or kept job needs is where it has to be',
  'receipts-backed': 'what receipts name is in some store, or stated missing',
  'checkpoints-chained': 'signed checkpoints follow on one another and are in the chain of the receipt',
  'checkpoints-agree': 'all attempts of a deterministic job have one state root a step',
  'snapshots-whole': 'every snapshot that is kept is whole',
  'snapshots-held': 'every snapshot that a job could go on from is with its holder',
  'outbox-backed': 'every receipt that waits to be anchored is there',
  'anchors-once': 'every receipt is under at most one batch, and batches are what their records say',
} as const satisfies Record<string, string>;

export type InvariantId = keyof typeof INVARIANTS;
export const INVARIANT_IDS = Object.keys(INVARIANTS) as readonly InvariantId[];
