import { DaemonError, type ErrorTable } from '../lib/errors.ts';

export type SchedulerErrorInfo =
  | { readonly code: 'SCHEDULER_BLOB_NOT_SERVED'; readonly blob: string; readonly peer: string }
  | {
      readonly code: 'SCHEDULER_BLOB_SIZE';
      readonly blob: string;
      readonly peer: string;
      readonly expected: number;
      readonly found: number;
    }
  | {
      readonly code: 'SCHEDULER_BLOB_MISSING';
      readonly path: string;
      readonly blob: string;
      readonly heldBytes: number | null;
    }
  | { readonly code: 'SCHEDULER_BAD_QUORUM'; readonly quorum: number; readonly replicas: number }
  | { readonly code: 'SCHEDULER_DUPLICATE_PATH'; readonly path: string }
  | { readonly code: 'SCHEDULER_DEADLINE_PAST'; readonly deadlineMs: number; readonly nowMs: number }
  | { readonly code: 'SCHEDULER_TOO_MANY_JOBS'; readonly active: number; readonly limit: number }
  | { readonly code: 'SCHEDULER_CONFIDENTIAL_REFUSED'; readonly reason: string }
  | { readonly code: 'SCHEDULER_BATCH_REPLICAS'; readonly index: number; readonly replicas: number }
  | { readonly code: 'SCHEDULER_UNKNOWN_BATCH'; readonly batch: string }
  | { readonly code: 'SCHEDULER_BATCH_CONFLICT'; readonly batch: string }
  | { readonly code: 'SCHEDULER_BATCH_CANCELLED'; readonly batch: string }
  | { readonly code: 'SCHEDULER_BATCH_PLACE'; readonly batch: string; readonly index: number; readonly size: number }
  | { readonly code: 'SCHEDULER_NOT_STARTED' }
  | { readonly code: 'SCHEDULER_UNKNOWN_JOB'; readonly job: string }
  | { readonly code: 'SCHEDULER_JOB_HALTED'; readonly job: string }
  | { readonly code: 'SCHEDULER_JOB_ENDED'; readonly job: string; readonly state: string }
  | { readonly code: 'SCHEDULER_NOT_PAUSABLE'; readonly job: string; readonly reason: string }
  | { readonly code: 'SCHEDULER_NO_RESULT'; readonly job: string; readonly state: string }
  | { readonly code: 'SCHEDULER_NOT_RATABLE'; readonly job: string; readonly reason: string }
  | {
      readonly code: 'SCHEDULER_RATED_ALREADY';
      readonly job: string;
      readonly replica: number;
      readonly stars: number;
    }
  | { readonly code: 'SCHEDULER_RATING_LATE'; readonly job: string; readonly replica: number; readonly untilMs: number }
  | { readonly code: 'SCHEDULER_RATINGS_FULL'; readonly job: string; readonly provider: string }
  | { readonly code: 'SCHEDULER_FUEL_OF_KIND'; readonly kind: string }
  | { readonly code: 'SCHEDULER_NO_CHECKPOINTS'; readonly kind: string }
  | { readonly code: 'SCHEDULER_STORE_CORRUPT'; readonly key: string; readonly reason: string }
  | {
      readonly code: 'SCHEDULER_REPLICAS_DISAGREE';
      readonly revealed: number;
      readonly quorum: number;
      readonly largest: number;
    }
  | { readonly code: 'SCHEDULER_QUORUM_LOST'; readonly revealed: number; readonly quorum: number }
  | { readonly code: 'SCHEDULER_RETRIES_EXHAUSTED'; readonly replica: number; readonly reason: string }
  | { readonly code: 'SCHEDULER_OUTPUTS_UNAVAILABLE'; readonly reason: string };

const SCHEDULER_ERRORS: ErrorTable<SchedulerErrorInfo> = {
  SCHEDULER_FUEL_OF_KIND: {
    retryable: false,
    message: (info) => `the limits of a job of kind '${info.kind}' name fuel where it has none, or none where it has`,
    hint: () => 'Give resources.fuel to wasm jobs, and null to all others.',
  },
  SCHEDULER_NO_CHECKPOINTS: {
    retryable: false,
    message: (info) =>
      `a job of kind '${info.kind}' makes checkpoints at training rounds, and compares files only with those`,
    hint: () => 'Use checkpoints: { everyRounds: 1 }, or remove checkpoints and comparisons.',
  },
  SCHEDULER_BLOB_NOT_SERVED: {
    retryable: true,
    message: (info) => `${info.peer} does not hand out blob ${info.blob}`,
    hint: () => 'It may have dropped the blob, or the lease that grants it is over; another provider is tried.',
  },
  SCHEDULER_BLOB_SIZE: {
    retryable: false,
    message: (info) =>
      `${info.peer} sent ${info.found} bytes of blob ${info.blob} where ${info.expected} were asked for`,
    hint: () => 'The size in the signed object and the blob differ; the peer that signed it is at fault.',
  },
  SCHEDULER_BLOB_MISSING: {
    retryable: false,
    message: (info) =>
      info.heldBytes === null
        ? `blob ${info.blob} of '${info.path}' is not in the store of this node`
        : `blob ${info.blob} of '${info.path}' has ${info.heldBytes} bytes, not as many as the job says`,
    hint: (info) =>
      info.heldBytes === null
        ? `Bring it here with \`fogproof blob get ${info.blob}\`, or add the file with \`fogproof blob add\`. A folder is named as { folder: CID }.`
        : `Give its size as ${info.heldBytes}.`,
  },
  SCHEDULER_BAD_QUORUM: {
    retryable: false,
    message: (info) => `a quorum of ${info.quorum} does not fit ${info.replicas} replicas`,
    hint: (info) => `Ask for ${Math.floor(info.replicas / 2) + 1} to ${info.replicas}: more than half must agree.`,
  },
  SCHEDULER_DUPLICATE_PATH: {
    retryable: false,
    message: (info) => `two inputs have the path '${info.path}'`,
    hint: () => 'Give every input its own path.',
  },
  SCHEDULER_DEADLINE_PAST: {
    retryable: false,
    message: (info) => `the deadline (${info.deadlineMs}) is not after now (${info.nowMs})`,
    hint: () => 'Give the job a later deadline.',
  },
  SCHEDULER_TOO_MANY_JOBS: {
    retryable: true,
    message: (info) => `${info.active} jobs are active and ${info.limit} are allowed`,
    hint: () => 'Wait for some to end, cancel some, or raise `requester.maxActiveJobs`.',
  },
  SCHEDULER_CONFIDENTIAL_REFUSED: {
    retryable: false,
    message: (info) => `the job cannot be confidential: ${info.reason}`,
    hint: () =>
      'Nothing was sent. docs/confidential.md says what such a job may be; `fogproof job validate` checks a file.',
  },
  SCHEDULER_BATCH_REPLICAS: {
    retryable: false,
    message: (info) => `job ${info.index} of the batch asks for ${info.replicas} replicas`,
    hint: () => 'Jobs submitted together have one replica each; submit the others one by one.',
  },
  SCHEDULER_UNKNOWN_BATCH: {
    retryable: false,
    message: (info) => `no batch ${info.batch} was submitted here`,
    hint: () => 'List the batches of this node with `fogproof job list --batches`.',
  },
  SCHEDULER_BATCH_CONFLICT: {
    retryable: false,
    message: (info) => `batch ${info.batch} was begun with another file`,
    hint: () => 'Give this one a name of its own with --batch, or go on with the file that the batch was begun with.',
  },
  SCHEDULER_BATCH_CANCELLED: {
    retryable: false,
    message: (info) => `batch ${info.batch} was cancelled and takes no more jobs`,
    hint: () => 'To run it again, submit it under another name with --batch.',
  },
  SCHEDULER_BATCH_PLACE: {
    retryable: false,
    message: (info) => `place ${info.index} is named twice, or not in batch ${info.batch} of ${info.size} jobs`,
    hint: () => 'Name each place of the batch once: 0 and up, below its size.',
  },
  SCHEDULER_NOT_STARTED: {
    retryable: true,
    message: () => 'the requester is not running',
    hint: () => 'Start the node first, or wait until it is ready.',
  },
  SCHEDULER_UNKNOWN_JOB: {
    retryable: false,
    message: (info) => `no job ${info.job} was submitted here`,
    hint: () => 'List the jobs of this node with `fogproof job list`.',
  },
  SCHEDULER_JOB_HALTED: {
    retryable: true,
    message: (info) => `job ${info.job} halted because this node could not store what became of it`,
    hint: () =>
      'See the log for the cause (a full disk, say). Once the node can write again it takes the job up by itself.',
  },
  SCHEDULER_JOB_ENDED: {
    retryable: false,
    message: (info) => `job ${info.job} has ended: it is ${info.state}`,
    hint: (info) => `See what became of it with \`fogproof job show ${info.job}\`; to run it again, submit it again.`,
  },
  SCHEDULER_NOT_PAUSABLE: {
    retryable: false,
    message: (info) => `job ${info.job} cannot be paused: ${info.reason}`,
    hint: () =>
      'Only a job with checkpoints can be paused, and only one that was submitted by itself: give its file ' +
      '`checkpoints` (docs/job-spec.md) and submit it with `fogproof job submit`; or stop this one with `fogproof job stop`.',
  },
  SCHEDULER_NO_RESULT: {
    retryable: false,
    message: (info) => `job ${info.job} is ${info.state} and has no result`,
    hint: (info) => `See what it waits for with \`fogproof job show --why ${info.job}\`.`,
  },
  SCHEDULER_NOT_RATABLE: {
    retryable: false,
    message: (info) => `job ${info.job} cannot be rated: ${info.reason}`,
    hint: (info) =>
      `The providers of its accepted result are rated, other nodes than this one; \`fogproof job show ${info.job}\` names them.`,
  },
  SCHEDULER_RATED_ALREADY: {
    retryable: false,
    message: (info) => `replica ${info.replica} of job ${info.job} is rated ${info.stars} of 5, and that is signed`,
    hint: () =>
      'What is signed is with others and stays. Rate another replica with --replica, or a later job of the provider.',
  },
  SCHEDULER_RATING_LATE: {
    retryable: false,
    message: (info) =>
      `replica ${info.replica} of job ${info.job} could be rated until ${new Date(info.untilMs).toISOString()}`,
    hint: () => 'What is older is in sums already, and nobody would count it. Rate a later job of the provider.',
  },
  SCHEDULER_RATINGS_FULL: {
    retryable: false,
    message: (info) =>
      `as many ratings of ${info.provider} as count are given for attempts of the epoch of job ${info.job}`,
    hint: () => 'Rate a job of the provider from another epoch (docs/reputation.md); those that are given stand.',
  },
  SCHEDULER_STORE_CORRUPT: {
    retryable: false,
    message: (info) => `the stored entry ${info.key} is corrupt: ${info.reason}`,
    hint: () => 'The disk may be failing; submit the job again and keep the entry for a report.',
  },
  SCHEDULER_REPLICAS_DISAGREE: {
    retryable: false,
    message: (info) =>
      `${info.revealed} replicas gave results, at most ${info.largest} of them equal; ${info.quorum} are needed`,
    hint: () => 'Export the evidence with `fogproof bundle export`, and submit the job again with more replicas.',
  },
  SCHEDULER_QUORUM_LOST: {
    retryable: true,
    message: (info) => `only ${info.revealed} replicas gave a result; ${info.quorum} equal ones are needed`,
    hint: () => 'Providers left between commitment and reveal; submit the job again, with more replicas if it recurs.',
  },
  SCHEDULER_RETRIES_EXHAUSTED: {
    retryable: true,
    message: (info) => `replica ${info.replica} failed on every provider that was tried; the last: ${info.reason}`,
    hint: () => 'Raise `retries`, or see what each provider answered with `fogproof job show --why`.',
  },
  SCHEDULER_OUTPUTS_UNAVAILABLE: {
    retryable: true,
    message: (info) => `no provider that agrees on the result hands out its files: ${info.reason}`,
    hint: () => 'Submit the job again; the providers are named in `fogproof job show`.',
  },
};

export class SchedulerError extends DaemonError<SchedulerErrorInfo> {
  constructor(info: SchedulerErrorInfo, options?: ErrorOptions) {
    super(SCHEDULER_ERRORS, info, options);
  }
}
