import { DaemonError, type ErrorTable } from '../lib/errors.ts';

export type BundleErrorInfo =
  | { readonly code: 'BUNDLE_NOT_A_BUNDLE'; readonly reason: string }
  | { readonly code: 'BUNDLE_TRUNCATED'; readonly atByte: number }
  | { readonly code: 'BUNDLE_MALFORMED'; readonly reason: string }
  | { readonly code: 'BUNDLE_TOO_LARGE'; readonly part: string; readonly sizeBytes: number; readonly maxBytes: number }
  | { readonly code: 'BUNDLE_HASH_MISMATCH'; readonly block: string }
  | { readonly code: 'BUNDLE_DUPLICATE_BLOCK'; readonly block: string }
  | { readonly code: 'BUNDLE_UNREFERENCED_BLOCK'; readonly block: string }
  | { readonly code: 'BUNDLE_MISSING_BLOCK'; readonly block: string }
  | { readonly code: 'BUNDLE_SIZE_MISMATCH'; readonly block: string; readonly expected: number; readonly found: number }
  | { readonly code: 'BUNDLE_SNAPSHOT_DAMAGED'; readonly block: string; readonly step: number; readonly piece: string }
  | { readonly code: 'BUNDLE_NO_SNAPSHOTS' }
  | { readonly code: 'BUNDLE_SNAPSHOT_GONE'; readonly lease: string; readonly step: number; readonly reason: string }
  | { readonly code: 'BUNDLE_NO_RESULT'; readonly job: string }
  | { readonly code: 'BUNDLE_NO_ANCHORING' }
  | { readonly code: 'BUNDLE_WRITE_FAILED'; readonly path: string; readonly reason: string };

const askAgain = (): string => 'The file was changed or damaged after it was made; ask its maker for it again.';

const BUNDLE_ERRORS: ErrorTable<BundleErrorInfo> = {
  BUNDLE_NOT_A_BUNDLE: {
    retryable: false,
    message: (info) => `this is no bundle file: ${info.reason}`,
    hint: () => 'Give a file that `fogproof bundle export` wrote.',
  },
  BUNDLE_TRUNCATED: {
    retryable: false,
    message: (info) => `the file ends in the middle of a block, after ${info.atByte} bytes`,
    hint: () => 'Copy or download it again, whole.',
  },
  BUNDLE_MALFORMED: {
    retryable: false,
    message: (info) => `the file is malformed: ${info.reason}`,
    hint: askAgain,
  },
  BUNDLE_TOO_LARGE: {
    retryable: false,
    message: (info) => `the ${info.part} has ${info.sizeBytes} bytes; at most ${info.maxBytes} are accepted`,
    hint: () => 'No bundle that this program writes is that large; do not trust the file.',
  },
  BUNDLE_HASH_MISMATCH: {
    retryable: false,
    message: (info) => `the bytes of block ${info.block} do not hash to its name`,
    hint: askAgain,
  },
  BUNDLE_DUPLICATE_BLOCK: {
    retryable: false,
    message: (info) => `block ${info.block} is in the file twice`,
    hint: askAgain,
  },
  BUNDLE_UNREFERENCED_BLOCK: {
    retryable: false,
    message: (info) => `block ${info.block} is in the file and nothing refers to it`,
    hint: askAgain,
  },
  BUNDLE_MISSING_BLOCK: {
    retryable: false,
    message: (info) => `the file says that it holds block ${info.block}, and does not`,
    hint: askAgain,
  },
  BUNDLE_SIZE_MISMATCH: {
    retryable: false,
    message: (info) => `block ${info.block} has ${info.found} bytes where ${info.expected} are stated`,
    hint: askAgain,
  },
  BUNDLE_SNAPSHOT_DAMAGED: {
    retryable: false,
    message: (info) => `${info.piece} of the snapshot at step ${info.step} does not hash to its name, ${info.block}`,
    hint: askAgain,
  },
  BUNDLE_NO_SNAPSHOTS: {
    retryable: false,
    message: () => 'this node holds no snapshots of its jobs',
    hint: () => 'Export without them: fogproof bundle export --snapshots none',
  },
  BUNDLE_SNAPSHOT_GONE: {
    retryable: true,
    message: (info) => `the snapshot at step ${info.step} of lease ${info.lease} cannot be exported: ${info.reason}`,
    hint: () => 'Export again; if it stays so, export with --snapshots last or none.',
  },
  BUNDLE_NO_RESULT: {
    retryable: false,
    message: (info) => `no attempt of job ${info.job} has a receipt`,
    hint: () => 'Wait for the job to end, or see why it has no result: fogproof job show --why',
  },
  BUNDLE_NO_ANCHORING: {
    retryable: false,
    message: () => 'no receipt will be anchored by this node: its network has no chain',
    hint: () => 'Export without waiting for an anchor, or use a network with a chain: fogproof network create --help',
  },
  BUNDLE_WRITE_FAILED: {
    retryable: false,
    message: (info) => `cannot write ${info.path}: ${info.reason}`,
    hint: () => 'Give a path in a folder that exists, that you may write to and that has room.',
  },
};

export class BundleError extends DaemonError<BundleErrorInfo> {
  constructor(info: BundleErrorInfo, options?: ErrorOptions) {
    super(BUNDLE_ERRORS, info, options);
  }
}

/** Codes of a file that is a bundle and was changed: its verdict is `invalid`, where the others are no bundle at all. */
const TAMPERED: ReadonlySet<string> = new Set<BundleErrorInfo['code']>([
  'BUNDLE_HASH_MISMATCH',
  'BUNDLE_SNAPSHOT_DAMAGED',
  'BUNDLE_DUPLICATE_BLOCK',
  'BUNDLE_UNREFERENCED_BLOCK',
  'BUNDLE_MISSING_BLOCK',
  'BUNDLE_SIZE_MISMATCH',
]);

export function isTampered(error: BundleError): boolean {
  return TAMPERED.has(error.code);
}
