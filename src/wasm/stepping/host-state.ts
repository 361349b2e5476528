import { MAX_PAGES } from '../constants.ts';
import { DIGEST_BYTES } from './constants.ts';

const VERSION = 1;
const BYTES = 108;
const PHASE = 1;
const RESERVED = 2;
const PAGES = 60;
const FLAGS = 64;
const METRICS_HASH = 76;
const OUTPUT_WRITTEN = 1;

/** Where the u64 fields stand. */
const COUNTS = [
  ['steps', 4],
  ['fuel', 12],
  ['randomBytes', 20],
  ['outputBytes', 28],
  ['logBytes', 36],
  ['logs', 44],
  ['metrics', 52],
  ['nextFuel', 68],
] as const;

type Counts = { readonly [Field in (typeof COUNTS)[number][0]]: number };

/** What the host keeps of a stepping module (docs/stepping.md section 3.1). */
export interface HostState extends Counts {
  /** `fogproof_step` returned 1. */
  readonly isDone: boolean;
  readonly pages: number;
  /** `output_write` was called, were it with no bytes. */
  readonly isOutputWritten: boolean;
  readonly metricsHash: Uint8Array;
}

/** Numbers are safe integers. The child may load nothing of src/proofs, where the same format is read elsewhere. */
export function encodeHostState(state: HostState): Uint8Array {
  const bytes = new Uint8Array(BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, VERSION);
  view.setUint8(PHASE, state.isDone ? 1 : 0);
  for (const [field, offset] of COUNTS) {
    view.setUint32(offset, Math.floor(state[field] / 2 ** 32));
    view.setUint32(offset + 4, state[field] >>> 0);
  }
  view.setUint32(PAGES, state.pages);
  view.setUint32(FLAGS, state.isOutputWritten ? OUTPUT_WRITTEN : 0);
  bytes.set(state.metricsHash, METRICS_HASH);
  return bytes;
}

/** Null for bytes that are none: another length, a version, phase or flag that is not known, a number above 2^53 - 1. */
export function parseHostState(bytes: Uint8Array): HostState | null {
  if (bytes.length !== BYTES) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, BYTES);
  const phase = view.getUint8(PHASE);
  const flags = view.getUint32(FLAGS);
  const isKnown = view.getUint8(0) === VERSION && phase <= 1 && view.getUint16(RESERVED) === 0;
  if (!isKnown || flags > OUTPUT_WRITTEN || view.getUint32(PAGES) > MAX_PAGES) return null;
  const entries = COUNTS.map(([field, offset]) => [field, Number(view.getBigUint64(offset))] as const);
  if (entries.some(([, count]) => !Number.isSafeInteger(count))) return null;
  const counts = Object.fromEntries(entries) as unknown as Counts; // one entry for each field
  const isOutputWritten = flags === OUTPUT_WRITTEN;
  if (counts.outputBytes > 0 && !isOutputWritten) return null;
  return {
    ...counts,
    isDone: phase === 1,
    pages: view.getUint32(PAGES),
    isOutputWritten,
    metricsHash: bytes.slice(METRICS_HASH, METRICS_HASH + DIGEST_BYTES),
  };
}
