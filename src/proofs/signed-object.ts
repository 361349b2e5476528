/**
 * Signing and opening of objects: a libp2p signed envelope (RFC 0002) for one, or for many the envelope of an RFC 6962
 * root over all of them with an inclusion path for each.
 */

import { peerIdFromPublicKey } from '@libp2p/peer-id';
import { RecordEnvelope } from '@libp2p/peer-record';
import { LRUCache } from 'lru-cache';
import { type ObjectId, PeerKey } from '../domain/ids.ts';
import { decodeObject, encodeObject, type ObjectType } from '../domain/object-type.ts';
import {
  BATCH,
  type Batch,
  MAX_LISTED_SIGNATURES,
  MAX_SIGNED_BYTES,
  type Signed,
  type SignedManyWire,
  type SignedWire,
} from '../domain/signed.ts';
import { areBytesEqual, decodeUtf8, encodeHex, encodeUtf8 } from '../lib/bytes.ts';
import { computeObjectId, sha256 } from '../lib/cid.ts';
import { describeError } from '../lib/errors.ts';
import { ProofsError } from './errors.ts';
import type { EnvelopeSigner } from './interface.ts';
import { computeLeafHash, MerkleTree, verifyInclusion } from './merkle.ts';

type Typed = { readonly type: string };

/** Domain separation string of RFC 0002: a signature over one type of object means nothing for another. */
export function envelopeDomain(type: string): string {
  return `fogproof/signed/${type}`;
}

/** Signs one object. */
export async function signObject<Value extends Typed>(
  objectType: ObjectType<Value>,
  value: Value,
  signer: EnvelopeSigner,
): Promise<Signed<Value>> {
  const payload = encodeObject(objectType, value);
  const envelope = await signer.seal(envelopeDomain(objectType.type), encodeUtf8(objectType.type), payload);
  return describeSigned(value, signer.peer, payload, { kind: 'envelope', envelope });
}

/** Signs many objects at the cost of one signature; a single one is signed alone. */
export async function signObjects<Value extends Typed>(
  objectType: ObjectType<Value>,
  values: readonly Value[],
  signer: EnvelopeSigner,
): Promise<Signed<Value>[]> {
  const [only] = values;
  if (only === undefined) return [];
  if (values.length === 1) return [await signObject(objectType, only, signer)];
  const payloads = values.map((value) => encodeObject(objectType, value));
  const tree = new MerkleTree(payloads.map(computeLeafHash));
  const statement: Batch = { type: 'fogproof/batch@1', itemType: objectType.type, root: tree.root, size: tree.size };
  const { wire } = await signObject(BATCH, statement, signer);
  if (wire.kind !== 'envelope') throw new TypeError('a batch statement is signed alone');
  return values.map((value, index) =>
    describeLeaf(value, signer.peer, { payload: payloads[index] as Uint8Array, index, tree, root: wire.envelope }),
  );
}

interface Leaf {
  readonly payload: Uint8Array;
  readonly index: number;
  readonly tree: MerkleTree;
  readonly root: Uint8Array;
}

/** The path is computed when it is asked for: a whole batch travels without, and it is most of a leaf's garbage. */
function describeLeaf<Value>(value: Value, signer: PeerKey, { payload, index, tree, root }: Leaf): Signed<Value> {
  return describeSigned(value, signer, payload, {
    kind: 'batch',
    payload,
    index,
    get path() {
      return tree.computeInclusionPath(index);
    },
    root,
  });
}

function describeSigned<Value>(value: Value, signer: PeerKey, payload: Uint8Array, wire: SignedWire): Signed<Value> {
  // A CID of our own making needs no parsing.
  return { value, signer, payload, wire, id: computeObjectId(payload) as ObjectId };
}

/** The object's bytes, nothing verified: for what was verified before it was stored. */
export function readSignedPayload(wire: SignedWire): Uint8Array {
  return wire.kind === 'batch' ? wire.payload : RecordEnvelope.createFromProtobuf(wire.envelope).payload;
}

interface OpenedEnvelope {
  readonly signer: PeerKey;
  readonly payload: Uint8Array;
}

/** A batch's statement is verified once, not once for each of its leaves. */
const verifiedBatches = new LRUCache<string, { readonly signer: PeerKey; readonly batch: Batch }>({ max: 256 });

/**
 * Verifies a signed object and decodes it. `expectedSigner`, where given, must have signed it.
 * @throws ProofsError, CborError, DomainError
 */
export async function openSigned<Value extends Typed>(
  objectType: ObjectType<Value>,
  wire: SignedWire,
  expectedSigner?: PeerKey,
): Promise<Signed<Value>> {
  const { signer, payload } =
    wire.kind === 'envelope'
      ? await openEnvelope(objectType.type, wire.envelope)
      : await openLeaf(objectType.type, wire);
  assertSigner(objectType.type, signer, expectedSigner);
  return describeSigned(decodeObject(objectType, payload), signer, payload, wire);
}

function assertSigner(type: string, found: PeerKey, expected: PeerKey | undefined): void {
  if (expected !== undefined && found !== expected) {
    throw new ProofsError({ code: 'PROOFS_WRONG_SIGNER', type, expected, found });
  }
}

async function openEnvelope(type: string, bytes: Uint8Array): Promise<OpenedEnvelope> {
  if (bytes.length > MAX_SIGNED_BYTES) {
    throw new ProofsError({ code: 'PROOFS_BAD_ENVELOPE', type, reason: `${bytes.length} bytes are too many` });
  }
  let envelope: RecordEnvelope;
  let payloadType: string;
  let signer: PeerKey;
  try {
    envelope = await RecordEnvelope.openAndCertify(bytes, envelopeDomain(type));
    payloadType = decodeUtf8(envelope.payloadType);
    signer = PeerKey(peerIdFromPublicKey(envelope.publicKey).toString());
  } catch (error) {
    throw new ProofsError({ code: 'PROOFS_BAD_ENVELOPE', type, reason: describeError(error) }, { cause: error });
  }
  // libp2p's decoder passes over wire types, unknown fields and order: one signature must not have many forms.
  if (!areBytesEqual(envelope.marshal(), bytes)) {
    throw new ProofsError({ code: 'PROOFS_BAD_ENVELOPE', type, reason: 'it is not in canonical form' });
  }
  if (payloadType !== type) {
    throw new ProofsError({ code: 'PROOFS_WRONG_PAYLOAD_TYPE', expected: type, found: payloadType.slice(0, 64) });
  }
  return { signer, payload: envelope.payload };
}

async function openBatch(itemType: string, root: Uint8Array): Promise<{ signer: PeerKey; batch: Batch }> {
  const key = encodeHex(sha256(root));
  let opened = verifiedBatches.get(key);
  if (opened === undefined) {
    const { signer, payload } = await openEnvelope(BATCH.type, root);
    opened = { signer, batch: decodeObject(BATCH, payload) };
    verifiedBatches.set(key, opened);
  }
  if (opened.batch.itemType !== itemType) {
    throw new ProofsError({ code: 'PROOFS_WRONG_PAYLOAD_TYPE', expected: itemType, found: opened.batch.itemType });
  }
  return opened;
}

async function openLeaf(type: string, wire: Extract<SignedWire, { kind: 'batch' }>): Promise<OpenedEnvelope> {
  const { signer, batch } = await openBatch(type, wire.root);
  const isIncluded = verifyInclusion({
    leafHash: computeLeafHash(wire.payload),
    index: BigInt(wire.index),
    size: BigInt(batch.size),
    path: wire.path,
    root: batch.root,
  });
  if (!isIncluded) throw new ProofsError({ code: 'PROOFS_NOT_IN_BATCH', type, index: wire.index });
  return { signer, payload: wire.payload };
}

/** Packs objects for travel: a whole batch needs no paths, since the receiver has every leaf. */
export function packSigned(items: readonly Signed<unknown>[]): SignedManyWire {
  const wires = items.map((item) => item.wire);
  const [first] = wires;
  if (first?.kind === 'batch' && isWholeBatch(wires, first.root)) {
    return { kind: 'batch', root: first.root, payloads: items.map((item) => item.payload) };
  }
  return { kind: 'each', items: wires };
}

function isWholeBatch(wires: readonly SignedWire[], root: Uint8Array): boolean {
  const isInOrder = wires.every(
    (wire, index) => wire.kind === 'batch' && wire.index === index && areBytesEqual(wire.root, root),
  );
  if (!isInOrder) return false;
  const batch = decodeObject(BATCH, RecordEnvelope.createFromProtobuf(root).payload);
  return batch.size === wires.length;
}

function assertFewSignatures(type: string, items: readonly SignedWire[]): void {
  let signatures = 0;
  const roots = new Set<string>();
  for (const item of items) {
    if (item.kind === 'envelope') signatures += 1;
    else roots.add(encodeHex(item.root));
    if (signatures + roots.size > MAX_LISTED_SIGNATURES) {
      throw new ProofsError({ code: 'PROOFS_TOO_MANY_SIGNATURES', type, max: MAX_LISTED_SIGNATURES });
    }
  }
}

/** Verifies and decodes what `packSigned` packed, in order. @throws ProofsError, CborError, DomainError */
export async function openMany<Value extends Typed>(
  objectType: ObjectType<Value>,
  many: SignedManyWire,
  expectedSigner?: PeerKey,
): Promise<Signed<Value>[]> {
  if (many.kind === 'each') {
    assertFewSignatures(objectType.type, many.items);
    const opened: Signed<Value>[] = [];
    for (const item of many.items) opened.push(await openSigned(objectType, item, expectedSigner));
    return opened;
  }
  const { signer, batch } = await openBatch(objectType.type, many.root);
  assertSigner(objectType.type, signer, expectedSigner);
  if (batch.size !== many.payloads.length) {
    throw new ProofsError({ code: 'PROOFS_BATCH_MISMATCH', type: objectType.type, reason: 'leaves are missing' });
  }
  const tree = new MerkleTree(many.payloads.map(computeLeafHash));
  if (!areBytesEqual(tree.root, batch.root)) {
    throw new ProofsError({ code: 'PROOFS_BATCH_MISMATCH', type: objectType.type, reason: 'another root' });
  }
  return many.payloads.map((payload, index) =>
    describeLeaf(decodeObject(objectType, payload), signer, { payload, index, tree, root: many.root }),
  );
}
