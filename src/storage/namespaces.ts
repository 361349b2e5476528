/** Every namespace of the database, with what its keys and values are. A name, once used, keeps its meaning. */
export const NAMESPACES = {
  meta: 'schema version and identity of this folder',
  'node-records': 'peer id → newest valid signed node record',
  'known-peers': 'peer id → addresses and when they last worked',
  jobs: 'job id → requester side: signed job and terminal summary',
  'job-batches':
    'of / batch id → name and size; in / batch id / place → job id and at / job id → its place, written with the job',
  'job-history': 'job id / sequence → event of the job machine',
  'job-logs': 'job id / lease id / sequence → log line or metric',
  'job-objects': 'job id / lease id → lease, acceptance, commitment, set signature and receipt',
  'job-checkpoints': 'job id / lease id / index → checkpoint of an attempt; job id / held → newest snapshots held',
  leases: 'lease id → provider side: lease, phase and receipt',
  checkpoints: 'lease id / index → provider side: signed checkpoint of an attempt that has not ended',
  'attempt-origins': 'lease id → provider side: what it takes to go on with an attempt after a restart',
  'attempt-signs': 'lease id → provider side: when an attempt last showed life, and how often it was taken up',
  'snapshot-duties': 'provider or holder / lease id → for whom its snapshots are kept, and until when',
  'poison-jobs': 'job id → how often it crashed its executor',
  blobs: 'blob id → size, uses, where it is kept, and the wrapped key of a private one',
  'blob-bytes': 'blob id → bytes of a small blob, encrypted if it is private',
  'blob-nodes': 'blob id / level / index → node of its tree',
  'blob-receptions': 'blob id → size of a blob that has arrived in part, and which of its leaves are on disk',
  'public-blobs': 'blob id → nothing; it is handed to anybody',
  snapshots: 'role / lease id / step → snapshot that is kept, and until when',
  'receipt-outbox': 'received / job id or provided / lease id → nothing; its receipts are yet to be anchored',
  'chain-transactions': 'intent key → transaction intent, its attempts and what became of it',
  'chain-cursors': 'address → newest transaction whose events were handled',
  'beacon-rounds': 'network / genesis / round → block that the value of the round was made from',
  'anchor-leaves': 'kind and digest → batch and index in it',
  'anchor-batches': 'batch number → root, size, state, entry of the log and transaction',
  'anchor-trees': 'batch number / row → leaves in order, and the roots of those rows',
} as const satisfies Record<string, string>;

export type NamespaceName = keyof typeof NAMESPACES;
