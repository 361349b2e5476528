import { z } from 'zod';
import { storedRoundSchema } from '../../beacon/round-store.ts';
import { BLOB_ENTRY_CODEC } from '../../blob/entry-codec.ts';
import { EVICTION_NOTE_CODEC } from '../../blob/eviction-notes.ts';
import { RECEPTION_CODEC } from '../../blob/reception-codec.ts';
import { parseSnapshotKey, REGISTRATION_CODEC } from '../../blob/snapshots/registration-codec.ts';
import { batchRecordSchema } from '../../chain/anchoring/batch-record.ts';
import { LEAF_BYTES } from '../../chain/anchoring/constants.ts';
import { LEAF_PLACE_CODEC } from '../../chain/anchoring/leaf-index.ts';
import { storedTransactionSchema } from '../../chain/journal/stored-transaction.ts';
import { cursorSchema } from '../../chain/reader/cursor-store.ts';
import { MAX_BLOB_NODE_BYTES } from '../../domain/blob-shape.ts';
import { BlobId, JobId, LeaseId, ObjectId, PeerKey } from '../../domain/ids.ts';
import { JobBatchId } from '../../domain/job-batch.ts';
import { STORED_CANDIDATE_CODEC, STORED_SLOT_CODEC } from '../../network/neighbours/stored/slot-codec.ts';
import { KNOWN_PEER_CODEC } from '../../network/peers/known-peers.ts';
import { RECORD_WIRE_CODEC } from '../../network/peers/record-wire.ts';
import { HASH_BYTES } from '../../proofs/merkle.ts';
import { decodeCounted, ITEM_CODEC, SNAPSHOT_CODEC, STANDING_CODEC } from '../../reputation/stored-forms.ts';
import { decodeCheckpoint, heldSchema } from '../../scheduler/checkpoint-store.ts';
import {
  ATTEMPT_OBJECTS,
  decodeCommitmentSet,
  decodeEndRecord,
  decodeEntry,
  decodeHistoryEntry,
  decodeJobRecord,
  decodeLogEntry,
  decodeSignedWire,
} from '../../scheduler/job-records.ts';
import { OUTBOX_ENTRY_CODEC } from '../../scheduler/observation-outbox.ts';
import { JOURNALLED_LINK_CODEC } from '../../scheduler/provider/checkpoints/attempt-journal.ts';
import { ATTEMPT_ORIGIN_CODEC, ATTEMPT_SIGN_CODEC } from '../../scheduler/provider/checkpoints/attempt-origin.ts';
import { SNAPSHOT_DUTY_CODEC } from '../../scheduler/provider/checkpoints/snapshot-duties.ts';
import { LEASE_RECORD_CODEC } from '../../scheduler/provider/leases/lease-record.ts';
import { CRASHES_CODEC } from '../../scheduler/provider/leases/poison-jobs.ts';
import { parseUsageKey, USAGE_CODEC } from '../../scheduler/provider/policy/usage-ledger.ts';
import { CLOSED_WORK_CODEC } from '../../scheduler/provider/policy/work-switch.ts';
import { SIGNED_RATING_CODEC, WAITING_RATING_CODEC } from '../../scheduler/rating-outbox.ts';
import {
  BATCH_PLACE_CODEC,
  BATCH_RECORD_CODEC,
  BATCH_STAND_CODEC,
} from '../../scheduler/requester/batches/batch-store.ts';
import { createCborCodec, createJsonCodec, STRING_CODEC } from '../../storage/codecs.ts';
import type { Codec } from '../../storage/interface.ts';
import type { NamespaceName } from '../../storage/namespaces.ts';

/** Throws for a key or a value that does not have the form of its namespace. */
export type EntryReader = (key: string, bytes: Uint8Array) => unknown;

const of =
  <Value>(codec: Codec<Value>, readKey: (key: string) => unknown): EntryReader =>
  (key, bytes) => {
    readKey(key);
    return codec.decode(bytes);
  };

/** As what the decoders throw: told to whoever reads entries, never to a peer or a person by itself. */
function expect(isSo: boolean, what: string): void {
  if (!isSo) throw new TypeError(what);
}

const DIGITS = /^[0-9]+$/;

/** Reads the parts of a key one by one; a key with more or fewer of them has another form. */
const parts =
  (...readers: readonly ((part: string) => unknown)[]) =>
  (key: string): void => {
    const found = key.split('/');
    expect(found.length === readers.length, `a key of ${found.length} parts`);
    for (const [index, read] of readers.entries()) read(found[index] ?? '');
  };

const text = (part: string): void => expect(part.length > 0, 'an empty part of a key');
const digits = (part: string): void => expect(DIGITS.test(part), `'${part}' is no number`);

const readJobs: EntryReader = (key, bytes) => {
  const [job = '', end, ...rest] = key.split('/');
  JobId(job);
  expect(rest.length === 0 && (end === undefined || end === 'end'), 'a key of another form');
  return end === undefined ? decodeJobRecord(`jobs/${key}`, bytes) : decodeEndRecord(`jobs/${key}`, bytes);
};

const readObjects: EntryReader = (key, bytes) => {
  const [job = '', second = '', kind, ...rest] = key.split('/');
  JobId(job);
  if (kind === undefined) {
    expect(second === 'set', `'${second}' is no kind of object of a job`);
    return decodeCommitmentSet(`job-objects/${key}`, bytes);
  }
  LeaseId(second);
  const isKnown = ATTEMPT_OBJECTS.some((known) => known === kind);
  expect(rest.length === 0 && isKnown, `'${kind}' is no kind of object of an attempt`);
  return decodeSignedWire(`job-objects/${key}`, bytes);
};

const readCheckpoints: EntryReader = (key, bytes) => {
  const [job = '', second = '', index, ...rest] = key.split('/');
  JobId(job);
  if (index === undefined) {
    expect(second === 'held', `'${second}' is nothing that a job has`);
    return decodeEntry(heldSchema, `job-checkpoints/${key}`, bytes);
  }
  LeaseId(second);
  expect(rest.length === 0 && (index === 'conflict' || DIGITS.test(index)), 'a key of another form');
  return decodeCheckpoint(key, bytes);
};

const readTreeRow: EntryReader = (key, bytes) => {
  const [batch = '', row = '', ...rest] = key.split('/');
  digits(batch);
  expect(rest.length === 0 && (row === 'roots' || DIGITS.test(row)), 'a key of another form');
  const unit = row === 'roots' ? HASH_BYTES : LEAF_BYTES;
  expect(bytes.length > 0 && bytes.length % unit === 0, `${bytes.length} bytes are no whole row`);
  return bytes;
};

const readOutbox: EntryReader = (key, bytes) => {
  const [kind, id = '', ...rest] = key.split('/');
  expect(rest.length === 0 && (kind === 'received' || kind === 'provided'), 'a key of another form');
  if (kind === 'received') JobId(id);
  else LeaseId(id);
  expect(bytes.length === 0, 'it holds something');
  return null;
};

const readBlobBytes: EntryReader = (key, bytes) => {
  // Private ones are encrypted: the store alone can hash them, and does whenever it reads one.
  BlobId(key);
  return bytes;
};

const readNode: EntryReader = (key, bytes) => {
  parts(BlobId, digits, digits)(key);
  expect(bytes.length > 0 && bytes.length <= MAX_BLOB_NODE_BYTES, `${bytes.length} bytes are no node`);
  return bytes;
};

const readBatches: EntryReader = (key, bytes) => {
  const [kind, batch = '', place, ...rest] = key.split('/');
  if (kind === 'at') {
    parts(text, JobId)(key);
    return BATCH_STAND_CODEC.decode(bytes);
  }
  JobBatchId(batch);
  expect(rest.length === 0 && (kind === 'of' ? place === undefined : kind === 'in'), 'a key of another form');
  if (kind === 'of') return BATCH_RECORD_CODEC.decode(bytes);
  digits(place ?? '');
  return BATCH_PLACE_CODEC.decode(bytes);
};

const readObservation: EntryReader = (key, bytes) => {
  parts(digits, ObjectId)(key);
  return decodeCounted(bytes, ObjectId(key.slice(key.indexOf('/') + 1)));
};

const readNeighbours: EntryReader = (key, bytes) => {
  const stored = STORED_SLOT_CODEC.decode(bytes);
  const name = 'slot' in stored ? `${stored.kind}/${stored.slot.peer}` : stored.kind;
  expect(key === name, 'a key of another form');
  return stored;
};

const readPublic: EntryReader = (key, bytes) => {
  BlobId(key);
  expect(bytes.length === 0, 'it holds something');
  return null;
};

/** How the entries of each namespace are read. */
export const ENTRY_READERS: Readonly<Record<NamespaceName, EntryReader>> = {
  meta: of(STRING_CODEC, text),
  'node-records': of(RECORD_WIRE_CODEC, PeerKey),
  'known-peers': of(KNOWN_PEER_CODEC, PeerKey),
  'neighbour-candidates': of(STORED_CANDIDATE_CODEC, PeerKey),
  'neighbour-slots': readNeighbours,
  jobs: readJobs,
  'job-batches': readBatches,
  'job-history': (key, bytes) => {
    parts(JobId, digits)(key);
    return decodeHistoryEntry(`job-history/${key}`, bytes);
  },
  'job-logs': (key, bytes) => {
    parts(JobId, LeaseId, digits)(key);
    return decodeLogEntry(`job-logs/${key}`, bytes);
  },
  'job-objects': readObjects,
  'job-checkpoints': readCheckpoints,
  leases: of(LEASE_RECORD_CODEC, LeaseId),
  checkpoints: of(JOURNALLED_LINK_CODEC, parts(LeaseId, digits)),
  'attempt-origins': of(ATTEMPT_ORIGIN_CODEC, LeaseId),
  'attempt-signs': of(ATTEMPT_SIGN_CODEC, LeaseId),
  'snapshot-duties': of(SNAPSHOT_DUTY_CODEC, parts(text, LeaseId)),
  'poison-jobs': of(CRASHES_CODEC, JobId),
  'requester-usage': of(USAGE_CODEC, parseUsageKey),
  'operator-work': of(CLOSED_WORK_CODEC, text),
  'operator-policy': of(STRING_CODEC, text),
  blobs: of(BLOB_ENTRY_CODEC, BlobId),
  'blob-bytes': readBlobBytes,
  'blob-evictions': of(EVICTION_NOTE_CODEC, BlobId),
  'public-blobs': readPublic,
  'blob-nodes': readNode,
  'blob-receptions': of(RECEPTION_CODEC, BlobId),
  snapshots: of(REGISTRATION_CODEC, (key) => expect(parseSnapshotKey(key) !== undefined, 'a key of another form')),
  observations: readObservation,
  'observation-wires': of(ITEM_CODEC, ObjectId),
  'rating-outbox': of(WAITING_RATING_CODEC, LeaseId),
  'job-ratings': of(SIGNED_RATING_CODEC, LeaseId),
  'observation-queue': (key, bytes) => {
    ObjectId(key);
    expect(bytes.length === 0, 'it holds something');
    return null;
  },
  'observation-outbox': (key, bytes) => {
    const entry = OUTBOX_ENTRY_CODEC.decode(bytes);
    expect(key.startsWith(`${entry.kind}/`), 'a key of another form');
    parts(text, entry.kind === 'received' ? JobId : LeaseId)(key);
    return entry;
  },
  'reputation-standings': of(STANDING_CODEC, parts(text, PeerKey)),
  'reputation-snapshots': of(SNAPSHOT_CODEC, digits),
  'receipt-outbox': readOutbox,
  'chain-transactions': of(createCborCodec(storedTransactionSchema), text),
  'chain-cursors': of(createJsonCodec(cursorSchema), parts(text, text)),
  'beacon-rounds': of(createCborCodec(storedRoundSchema), parts(text, text, digits)),
  'anchor-leaves': of(LEAF_PLACE_CODEC, (key) =>
    z
      .hex()
      .length(2 * LEAF_BYTES)
      .parse(key),
  ),
  'anchor-batches': of(createCborCodec(batchRecordSchema), digits),
  'anchor-trees': readTreeRow,
};
