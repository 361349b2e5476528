import { DaemonError, type ErrorTable } from '../../lib/errors.ts';
import type { JobFileProblem } from './interface.ts';

/** A row of a batch's variables of which no job can be made. */
export interface BadRow {
  readonly path: string;
  /** From 1. */
  readonly line: number;
  readonly reason: string;
}

export type JobFileErrorInfo =
  | { readonly code: 'JOB_FILE_INVALID'; readonly path: string; readonly problems: readonly JobFileProblem[] }
  | { readonly code: 'JOB_FILE_UNREADABLE'; readonly path: string; readonly reason: string }
  | { readonly code: 'JOB_FILE_TOO_LARGE'; readonly path: string; readonly maxBytes: number }
  | { readonly code: 'JOB_FILE_BAD_ROWS'; readonly path: string; readonly rows: readonly BadRow[] }
  | { readonly code: 'JOB_FILE_TOO_MANY_JOBS'; readonly path: string; readonly maxJobs: number }
  | { readonly code: 'JOB_FILE_EXISTS'; readonly path: string }
  | { readonly code: 'JOB_FILE_UNWRITABLE'; readonly path: string; readonly reason: string }
  | { readonly code: 'JOB_FILE_MISSING_BLOB'; readonly path: string }
  | { readonly code: 'JOB_FILE_BAD_POLICY'; readonly source: string; readonly issues: readonly string[] }
  | { readonly code: 'JOB_FILE_BAD_IMAGE'; readonly path: string; readonly reason: string }
  | { readonly code: 'JOB_FILE_BAD_FOLDER'; readonly folder: string; readonly reason: string }
  | {
      readonly code: 'JOB_FILE_FOLDER_NOT_HERE';
      readonly folder: string;
      readonly missing: number;
      readonly files: number;
    };

const JOB_FILE_ERRORS: ErrorTable<JobFileErrorInfo> = {
  JOB_FILE_INVALID: {
    retryable: false,
    message: (info) => [`${info.path} is not a valid job:`, ...info.problems.map(renderProblem)].join('\n'),
    hint: (info) => `Correct it and check with: fogproof job validate ${info.path}`,
  },
  JOB_FILE_UNREADABLE: {
    retryable: false,
    message: (info) => `cannot read ${info.path}: ${info.reason}`,
    hint: () => 'Check the path; relative paths in a job file start at the folder of the job file.',
  },
  JOB_FILE_TOO_LARGE: {
    retryable: false,
    message: (info) => `${info.path} has more than ${info.maxBytes} bytes`,
    hint: () => 'Name input files in it; do not put their content into it.',
  },
  JOB_FILE_BAD_ROWS: {
    retryable: false,
    message: (info) =>
      [`${info.path} has rows that are no jobs:`, ...info.rows.map((row) => `  ${renderBadRow(row)}`)].join('\n'),
    hint: () => 'Each row needs a value for every ${variable} of the file, and the result must be a valid job.',
  },
  JOB_FILE_TOO_MANY_JOBS: {
    retryable: false,
    message: (info) => `${info.path} describes more than ${info.maxJobs} jobs`,
    hint: () => 'Make several batches of it.',
  },
  JOB_FILE_EXISTS: {
    retryable: false,
    message: (info) => `${info.path} exists already`,
    hint: () => 'Give another file name, or remove that file first.',
  },
  JOB_FILE_UNWRITABLE: {
    retryable: false,
    message: (info) => `cannot write ${info.path}: ${info.reason}`,
    hint: () => 'Give a path in a folder that exists and that you may write to.',
  },
  JOB_FILE_MISSING_BLOB: {
    retryable: false,
    message: (info) => `${info.path} was not added to the node's blobs`,
    hint: () => 'Add every file of the plan before completing the draft.',
  },
  JOB_FILE_BAD_POLICY: {
    retryable: false,
    message: (info) => [`${info.source} is no policy for a confidential job:`, ...info.issues].join('\n  '),
    hint: () => 'docs/attestation.md has the fields and an example of each kind.',
  },
  JOB_FILE_BAD_IMAGE: {
    retryable: false,
    message: (info) => `${info.path} cannot be run as an image: ${info.reason}`,
    hint: () => 'Make a layout of it: skopeo copy docker://NAME oci:FOLDER, or docker save NAME > image.tar.',
  },
  JOB_FILE_BAD_FOLDER: {
    retryable: false,
    message: (info) => `the folder ${info.folder} cannot be an input: ${info.reason}`,
    hint: () => 'Add a folder with what the job needs and nothing else, or name single files as { blob, size }.',
  },
  JOB_FILE_FOLDER_NOT_HERE: {
    retryable: false,
    message: (info) => `${info.missing} of the ${info.files} files of the folder ${info.folder} are not here`,
    hint: (info) => `Providers fetch them from this node. Bring them here first: fogproof blob get ${info.folder}`,
  },
};

export function renderBadRow({ path, line, reason }: BadRow): string {
  return `${path}:${line}: ${reason}`;
}

export function renderProblem(problem: JobFileProblem): string {
  const field = problem.field === '' ? '' : ` ${problem.field}:`;
  return `  ${problem.line}:${problem.column} ${problem.severity}${field} ${problem.message}\n      ${problem.hint}`;
}

export class JobFileError extends DaemonError<JobFileErrorInfo> {
  constructor(info: JobFileErrorInfo, options?: ErrorOptions) {
    super(JOB_FILE_ERRORS, info, options);
  }
}
