/** What the host keeps for a stepping module: 108 bytes, docs/stepping.md section 3.1. */
import { HOST_STATE_BYTES } from '../domain/snapshot.ts';
import { ProofsError } from './errors.ts';

const VERSION = 1;
const HASH_OFFSET = 76;
const HASH_BYTES = 32;
const OUTPUT_WRITTEN = 1;
/** Most pages of a 32-bit memory (core specification, section 4.2.8). */
const MAX_PAGES = 65_536;

export interface HostState {
  /** `fogproof_step` returned 1. */
  readonly isDone: boolean;
  readonly steps: number;
  readonly fuel: number;
  /** Taken of the random generator. */
  readonly randomBytes: number;
  readonly outputBytes: number;
  /** Counted against the job's log limit. */
  readonly logBytes: number;
  readonly logs: number;
  readonly metrics: number;
  /** Logical pages of memory. */
  readonly pages: number;
  /** `output_write` was called, were it with no bytes. */
  readonly isOutputWritten: boolean;
  /** Fuel at or above which the next checkpoint falls; 0 where the schedule is by steps. */
  readonly nextCheckpointFuel: number;
  readonly metricsHash: Uint8Array;
}

/** The u64 fields in the order of the format, with where they stand. */
const U64_FIELDS = [
  ['steps', 4],
  ['fuel', 12],
  ['randomBytes', 20],
  ['outputBytes', 28],
  ['logBytes', 36],
  ['logs', 44],
  ['metrics', 52],
  ['nextCheckpointFuel', 68],
] as const;

/** @throws RangeError for a number that is no u64 or no count of pages, or a hash that has not 32 bytes */
export function encodeHostState(state: HostState): Uint8Array {
  const bytes = new Uint8Array(HOST_STATE_BYTES);
  const view = new DataView(bytes.buffer);
  if (state.metricsHash.length !== HASH_BYTES) throw new RangeError('a metrics hash has 32 bytes');
  if (!isCount(state.pages, MAX_PAGES)) throw new RangeError(`no memory has ${state.pages} pages`);
  bytes[0] = VERSION;
  bytes[1] = state.isDone ? 1 : 0;
  for (const [field, offset] of U64_FIELDS) {
    if (!isCount(state[field], Number.MAX_SAFE_INTEGER)) throw new RangeError(`${field} is ${state[field]}`);
    view.setBigUint64(offset, BigInt(state[field]));
  }
  view.setUint32(60, state.pages);
  view.setUint32(64, state.isOutputWritten ? OUTPUT_WRITTEN : 0);
  bytes.set(state.metricsHash, HASH_OFFSET);
  return bytes;
}

function isCount(value: number, max: number): boolean {
  return Number.isSafeInteger(value) && value >= 0 && value <= max;
}

/** @throws ProofsError PROOFS_BAD_HOST_STATE: a version or flag that is not known, a number that is too large */
export function parseHostState(bytes: Uint8Array): HostState {
  if (bytes.length !== HOST_STATE_BYTES) throw bad(`it has ${bytes.length} bytes in place of ${HOST_STATE_BYTES}`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes[0] !== VERSION) throw bad(`version ${bytes[0]} is not known`);
  const end = view.getUint8(1);
  if (end > 1 || view.getUint16(2) !== 0) throw bad('a flag is not known');
  const flags = view.getUint32(64);
  if ((flags & ~OUTPUT_WRITTEN) !== 0) throw bad('a flag is not known');
  const pages = view.getUint32(60);
  if (pages > MAX_PAGES) throw bad(`no memory has ${pages} pages`);
  const counts = Object.fromEntries(
    U64_FIELDS.map(([field, offset]) => [field, readCount(view, field, offset)]),
  ) as Readonly<Record<(typeof U64_FIELDS)[number][0], number>>;
  const isOutputWritten = flags === OUTPUT_WRITTEN;
  if (counts.outputBytes > 0 && !isOutputWritten) throw bad('there is output that was never written');
  const metricsHash = bytes.slice(HASH_OFFSET, HASH_OFFSET + HASH_BYTES);
  return { ...counts, isDone: end === 1, pages, isOutputWritten, metricsHash };
}

function readCount(view: DataView, field: string, offset: number): number {
  const value = Number(view.getBigUint64(offset));
  if (!Number.isSafeInteger(value)) throw bad(`${field} is above 2^53 - 1`);
  return value;
}

function bad(reason: string): ProofsError {
  return new ProofsError({ code: 'PROOFS_BAD_HOST_STATE', reason });
}
