/** The hashes of an attempt's checkpoint chain: docs/stepping.md section 5. */
import { CHECKPOINT_LINK_BYTES, CHECKPOINT_PREFIX, MAX_CHECKPOINTS } from '../domain/checkpoint.ts';
import { type JobId, type LeaseId, UnixMs } from '../domain/ids.ts';
import type { Job } from '../domain/job.ts';
import { concatBytes, encodeU64, encodeUtf8 } from '../lib/bytes.ts';
import { encodeCanonical } from '../lib/canonical-cbor.ts';
import { sha256 } from '../lib/cid.ts';
import { compareUtf8 } from './compare-utf8.ts';
import { encodeU32 } from './encode-u32.ts';
import { ProofsError } from './errors.ts';
import { readIdDigest } from './id-digest.ts';
import { computeLeafHash, HASH_BYTES, MerkleTree } from './merkle.ts';

const PREFIX = encodeUtf8(CHECKPOINT_PREFIX);
const START_TAG = Uint8Array.of(0x00);
const LINK_TAG = Uint8Array.of(0x01);
const MODULE_TAG = Uint8Array.of(0x00);
const INPUT_TAG = Uint8Array.of(0x01);
const WORKLOAD_TAG = Uint8Array.of(0x02);
/** In place of the parent of an attempt that began at the beginning. */
export const NO_PARENT: Uint8Array = new Uint8Array(HASH_BYTES);

export interface ChainOwner {
  readonly job: JobId;
  readonly lease: LeaseId;
}

export interface ChainStart {
  readonly step: number;
  /** H of the checkpoint that the lease names in `resume`; null began at the beginning. */
  readonly parent: Uint8Array | null;
  readonly stateRoot: Uint8Array;
}

export interface ChainLink {
  readonly step: number;
  readonly stateRoot: Uint8Array;
  readonly metricsHash: Uint8Array;
  readonly atMs: UnixMs;
}

/** Merkle root over the program and the inputs of a job that makes checkpoints. @throws ProofsError PROOFS_NO_DIGEST */
export function computeInputRoot({ workload, inputs }: Pick<Job, 'workload' | 'inputs'>): Uint8Array {
  const program = encodeProgram(workload);
  const ordered = [...inputs].sort((a, b) => compareUtf8(a.path, b.path));
  const leaves = ordered.map(({ path, blob, sizeBytes }) => {
    const name = encodeUtf8(path);
    return concatBytes(INPUT_TAG, encodeU32(name.length), name, readIdDigest(blob), encodeU64(sizeBytes));
  });
  return new MerkleTree([program, ...leaves].map(computeLeafHash)).root;
}

/** A module with its seed, or of any other kind of work all that it says: it names the program by digests as far as that is committed to. */
function encodeProgram(workload: Job['workload']): Uint8Array {
  if (workload.kind !== 'wasm') return concatBytes(WORKLOAD_TAG, sha256(encodeCanonical(workload)));
  const { module, moduleSizeBytes, seed } = workload;
  return concatBytes(MODULE_TAG, readIdDigest(module), encodeU64(moduleSizeBytes), seed);
}

/** H_0. @throws ProofsError PROOFS_NO_DIGEST */
export function computeStartHead(owner: ChainOwner, inputRoot: Uint8Array, start: ChainStart): Uint8Array {
  return sha256(
    PREFIX,
    START_TAG,
    encodeOwner(owner),
    inputRoot,
    encodeU64(start.step),
    start.parent ?? NO_PARENT,
    start.stateRoot,
  );
}

/** H_n, after the link whose H is `previous`. @throws ProofsError PROOFS_NO_DIGEST */
export function computeLinkHead(owner: ChainOwner, previous: Uint8Array, link: ChainLink): Uint8Array {
  return hashLink(encodeOwner(owner), previous, link);
}

/** H_1 … H_N of a chain. @throws ProofsError PROOFS_NO_DIGEST */
export function computeHeads(owner: ChainOwner, startHead: Uint8Array, links: readonly ChainLink[]): Uint8Array[] {
  const encoded = encodeOwner(owner);
  let previous = startHead;
  return links.map((link) => {
    previous = hashLink(encoded, previous, link);
    return previous;
  });
}

function hashLink(owner: Uint8Array, previous: Uint8Array, link: ChainLink): Uint8Array {
  const { step, stateRoot, metricsHash, atMs } = link;
  return sha256(PREFIX, LINK_TAG, owner, encodeU64(step), previous, stateRoot, metricsHash, encodeU64(atMs));
}

function encodeOwner({ job, lease }: ChainOwner): Uint8Array {
  return concatBytes(readIdDigest(job), readIdDigest(lease));
}

/** The Merkle root over H_1 … H_N; over H_0 alone where there is no other. */
export function computeCheckpointRoot(heads: readonly Uint8Array[], startHead: Uint8Array): Uint8Array {
  return new MerkleTree((heads.length === 0 ? [startHead] : heads).map(computeLeafHash)).root;
}

/** Records of 80 bytes each, in order: the `links` of a `fogproof/checkpoint-chain@1`. */
export function encodeLinks(links: readonly ChainLink[]): Uint8Array {
  const bytes = new Uint8Array(links.length * CHECKPOINT_LINK_BYTES);
  links.forEach(({ step, stateRoot, metricsHash, atMs }, index) => {
    bytes.set(concatBytes(encodeU64(step), stateRoot, metricsHash, encodeU64(atMs)), index * CHECKPOINT_LINK_BYTES);
  });
  return bytes;
}

/** @throws ProofsError PROOFS_BAD_LINKS: no whole records, too many, or a number that is too large */
export function decodeLinks(bytes: Uint8Array): ChainLink[] {
  if (bytes.length % CHECKPOINT_LINK_BYTES !== 0) throw bad(`${bytes.length} bytes are no whole records`);
  const count = bytes.length / CHECKPOINT_LINK_BYTES;
  if (count > MAX_CHECKPOINTS) throw bad(`there are more than ${MAX_CHECKPOINTS}`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Array.from({ length: count }, (_, index) => {
    const offset = index * CHECKPOINT_LINK_BYTES;
    const step = Number(view.getBigUint64(offset));
    if (!Number.isSafeInteger(step)) throw bad(`the step of link ${index + 1} is above 2^53 - 1`);
    return {
      step,
      stateRoot: bytes.slice(offset + 8, offset + 40),
      metricsHash: bytes.slice(offset + 40, offset + 72),
      atMs: readTime(view, offset + 72, index),
    };
  });
}

function readTime(view: DataView, offset: number, index: number): UnixMs {
  const value = Number(view.getBigUint64(offset));
  try {
    return UnixMs(value);
  } catch (error) {
    throw bad(`the time of link ${index + 1} is ${value}`, error);
  }
}

function bad(reason: string, cause?: unknown): ProofsError {
  return new ProofsError({ code: 'PROOFS_BAD_LINKS', reason }, { cause });
}
