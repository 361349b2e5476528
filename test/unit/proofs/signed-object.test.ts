import { generateKeyPair } from '@libp2p/crypto/keys';
import { RecordEnvelope } from '@libp2p/peer-record';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { COMMITMENT, COMMITMENT_SET, type Commitment } from '../../../src/domain/commitment.ts';
import { UnixMs } from '../../../src/domain/ids.ts';
import { encodeObject } from '../../../src/domain/object-type.ts';
import {
  BATCH,
  MAX_LISTED_SIGNATURES,
  MAX_SIGNED_BYTES,
  type SignedWire,
  signedManyWireSchema,
  signedWireSchema,
} from '../../../src/domain/signed.ts';
import { LocalIdentity } from '../../../src/identity/local-identity.ts';
import { encodeUtf8 } from '../../../src/lib/bytes.ts';
import { computeObjectCid } from '../../../src/lib/cid.ts';
import { computeLeafHash, MerkleTree } from '../../../src/proofs/merkle.ts';
import {
  envelopeDomain,
  openMany,
  openSigned,
  packSigned,
  signObject,
  signObjects,
} from '../../../src/proofs/signed-object.ts';
import { commitments } from '../../support/domain-arbitraries.ts';

const alice = await LocalIdentity.fromSeed(new Uint8Array(32).fill(1));
const bob = await LocalIdentity.fromSeed(new Uint8Array(32).fill(2));
const [ONE, TWO, THREE, FOUR, FIVE] = fc.sample(commitments, { numRuns: 5, seed: 42 }) as [
  Commitment,
  Commitment,
  Commitment,
  Commitment,
  Commitment,
];
const MANY = [ONE, TWO, THREE, FOUR, FIVE];

type BatchWire = Extract<SignedWire, { kind: 'batch' }>;

function envelopeOf(wire: SignedWire): Uint8Array {
  if (wire.kind !== 'envelope') throw new TypeError('expected an envelope');
  return wire.envelope;
}

function batchOf(wire: SignedWire | undefined): BatchWire {
  if (wire?.kind !== 'batch') throw new TypeError('expected a leaf of a batch');
  return wire;
}

const code = (expected: string): unknown => expect.objectContaining({ code: expected });
const anyCoded: unknown = expect.objectContaining({ code: expect.stringMatching(/^(PROOFS|CBOR|DOMAIN)_/) });

describe('one signed object', () => {
  it('opens as what was signed, by whom it was signed', async () => {
    await fc.assert(
      fc.asyncProperty(commitments, async (value) => {
        const signed = await signObject(COMMITMENT, value, alice);
        expect(signedWireSchema.safeParse(signed.wire).success).toBe(true);
        const opened = await openSigned(COMMITMENT, signed.wire, alice.peer);
        expect(opened).toEqual(signed);
        expect(opened.value).toEqual(value);
        expect(opened.signer).toBe(alice.peer);
        expect(opened.id).toBe(computeObjectCid(encodeObject(COMMITMENT, value)).toString());
      }),
      { numRuns: 30 },
    );
  });

  it('is refused when any byte of it was changed', async () => {
    const envelope = envelopeOf((await signObject(COMMITMENT, ONE, alice)).wire);
    for (let at = 0; at < envelope.length; at += 1) {
      for (const change of [0x01, 0x80]) {
        const altered = envelope.slice();
        altered[at] = (altered[at] ?? 0) ^ change;
        await expect(openSigned(COMMITMENT, { kind: 'envelope', envelope: altered })).rejects.toEqual(anyCoded);
      }
    }
  });

  it('is refused when it was cut', async () => {
    const envelope = envelopeOf((await signObject(COMMITMENT, ONE, alice)).wire);
    for (let length = 0; length < envelope.length; length += 1) {
      const cut: SignedWire = { kind: 'envelope', envelope: envelope.subarray(0, length) };
      await expect(openSigned(COMMITMENT, cut)).rejects.toEqual(anyCoded);
    }
  });

  it('is refused from another signer than the one expected', async () => {
    const { wire } = await signObject(COMMITMENT, ONE, bob);
    await expect(openSigned(COMMITMENT, wire, alice.peer)).rejects.toEqual(code('PROOFS_WRONG_SIGNER'));
    expect((await openSigned(COMMITMENT, wire)).signer).toBe(bob.peer);
  });

  it('is refused when another key is put beside the signature', async () => {
    const { wire } = await signObject(COMMITMENT, ONE, alice);
    const { payload, payloadType, signature } = RecordEnvelope.createFromProtobuf(envelopeOf(wire));
    const forged = new RecordEnvelope({ publicKey: bob.privateKey.publicKey, payload, payloadType, signature });
    await expect(openSigned(COMMITMENT, { kind: 'envelope', envelope: forged.marshal() })).rejects.toEqual(
      code('PROOFS_BAD_ENVELOPE'),
    );
  });

  it('is refused when it was signed as something else', async () => {
    const payload = encodeObject(COMMITMENT, ONE);
    const seal = async (domain: string, type: string): Promise<SignedWire> => ({
      kind: 'envelope',
      envelope: await alice.seal(domain, encodeUtf8(type), payload),
    });
    const { type } = COMMITMENT;
    await expect(openSigned(COMMITMENT, await seal('libp2p-peer-record', type))).rejects.toEqual(
      code('PROOFS_BAD_ENVELOPE'),
    );
    await expect(openSigned(COMMITMENT, await seal(envelopeDomain(COMMITMENT_SET.type), type))).rejects.toEqual(
      code('PROOFS_BAD_ENVELOPE'),
    );
    await expect(openSigned(COMMITMENT, await seal(envelopeDomain(type), COMMITMENT_SET.type))).rejects.toEqual(
      code('PROOFS_WRONG_PAYLOAD_TYPE'),
    );
    const { wire } = await signObject(COMMITMENT, ONE, alice);
    await expect(openSigned(COMMITMENT_SET, wire)).rejects.toEqual(code('PROOFS_BAD_ENVELOPE'));
  });

  it('is refused when what is signed is not the object in canonical form', async () => {
    const { type } = COMMITMENT;
    const payload = encodeObject(COMMITMENT, ONE);
    const contents = [new Uint8Array(), Uint8Array.of(0xa0), new Uint8Array([...payload, 0]), new Uint8Array(2000)];
    for (const content of contents) {
      const envelope = await alice.seal(envelopeDomain(type), encodeUtf8(type), content);
      await expect(openSigned(COMMITMENT, { kind: 'envelope', envelope })).rejects.toEqual(anyCoded);
    }
  });

  it('is refused from a key that is not Ed25519', async () => {
    const key = await generateKeyPair('secp256k1');
    const payload = encodeObject(COMMITMENT, ONE);
    const record = {
      domain: envelopeDomain(COMMITMENT.type),
      codec: encodeUtf8(COMMITMENT.type),
      marshal: () => payload,
      equals: () => false,
    };
    const envelope = (await RecordEnvelope.seal(record, key)).marshal();
    await expect(openSigned(COMMITMENT, { kind: 'envelope', envelope })).rejects.toEqual(code('PROOFS_BAD_ENVELOPE'));
  });

  it('is refused above its size limit before anything is read, and as garbage', async () => {
    const envelope = new Uint8Array(MAX_SIGNED_BYTES + 1);
    await expect(openSigned(COMMITMENT, { kind: 'envelope', envelope })).rejects.toEqual(code('PROOFS_BAD_ENVELOPE'));
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), async (bytes) => {
        await expect(openSigned(COMMITMENT, { kind: 'envelope', envelope: bytes })).rejects.toEqual(anyCoded);
      }),
    );
  });
});

describe('objects signed together', () => {
  it('open alone and as a whole, however many', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(commitments, { maxLength: 9 }), async (values) => {
        const signed = await signObjects(COMMITMENT, values, alice);
        expect(signed.map(({ value }) => value)).toEqual(values);
        for (const item of signed) expect(await openSigned(COMMITMENT, item.wire, alice.peer)).toEqual(item);
        const packed = packSigned(signed);
        expect(signedManyWireSchema.safeParse(packed).success).toBe(true);
        expect(packed.kind).toBe(values.length > 1 ? 'batch' : 'each');
        expect(await openMany(COMMITMENT, packed, alice.peer)).toEqual(signed);
      }),
      { numRuns: 20 },
    );
  });

  it('cost one signature', async () => {
    let seals = 0;
    const counting = {
      peer: alice.peer,
      seal: (...given: Parameters<typeof alice.seal>) => {
        seals += 1;
        return alice.seal(...given);
      },
    };
    await signObjects(COMMITMENT, MANY, counting);
    expect(seals).toBe(1);
  });

  it('are each refused with a changed payload, index, path or root', async () => {
    const signed = await signObjects(COMMITMENT, MANY, alice);
    const third = batchOf(signed[2]?.wire);
    const other = batchOf((await signObjects(COMMITMENT, [FIVE, FOUR, ONE], alice))[0]?.wire);
    const alter = (bytes: Uint8Array): Uint8Array => bytes.map((byte, at) => (at === 5 ? byte ^ 1 : byte));
    const payload = encodeObject(COMMITMENT, ONE);
    const forgeries: [Partial<BatchWire>, string][] = [
      [{ payload }, 'PROOFS_NOT_IN_BATCH'],
      [{ payload: alter(third.payload) }, 'PROOFS_NOT_IN_BATCH'],
      [{ index: 3 }, 'PROOFS_NOT_IN_BATCH'],
      [{ index: 100 }, 'PROOFS_NOT_IN_BATCH'],
      [{ path: third.path.slice(1) }, 'PROOFS_NOT_IN_BATCH'],
      [{ path: third.path.map(alter) }, 'PROOFS_NOT_IN_BATCH'],
      [{ path: [...third.path, ...third.path] }, 'PROOFS_NOT_IN_BATCH'],
      [{ root: other.root }, 'PROOFS_NOT_IN_BATCH'],
      [{ root: alter(third.root) }, 'PROOFS_BAD_ENVELOPE'],
    ];
    for (const [forgery, expected] of forgeries) {
      await expect(openSigned(COMMITMENT, { ...third, ...forgery })).rejects.toEqual(code(expected));
    }
    await expect(openSigned(COMMITMENT, third, bob.peer)).rejects.toEqual(code('PROOFS_WRONG_SIGNER'));
  });

  it('are refused as another type, also when the batch was opened before', async () => {
    const [first] = await signObjects(COMMITMENT, MANY, alice);
    const wire = batchOf(first?.wire);
    await openSigned(COMMITMENT, wire);
    await expect(openSigned(COMMITMENT_SET, wire)).rejects.toEqual(code('PROOFS_WRONG_PAYLOAD_TYPE'));
    await expect(
      openMany(COMMITMENT_SET, { kind: 'batch', root: wire.root, payloads: [wire.payload] }),
    ).rejects.toEqual(code('PROOFS_WRONG_PAYLOAD_TYPE'));
  });

  it('are refused as a whole with leaves missing, doubled, in another order or changed', async () => {
    const signed = await signObjects(COMMITMENT, MANY, alice);
    const { root } = batchOf(signed[0]?.wire);
    const payloads = signed.map(({ payload }) => payload);
    const [a, b, ...rest] = payloads as [Uint8Array, Uint8Array, ...Uint8Array[]];
    const wrong = [payloads.slice(1), [...payloads, a], [b, a, ...rest], [a, a, ...rest]];
    for (const each of wrong) {
      await expect(openMany(COMMITMENT, { kind: 'batch', root, payloads: each })).rejects.toEqual(
        code('PROOFS_BATCH_MISMATCH'),
      );
    }
    await expect(openMany(COMMITMENT, { kind: 'batch', root, payloads }, bob.peer)).rejects.toEqual(
      code('PROOFS_WRONG_SIGNER'),
    );
  });

  it('are refused when the statement is an object of its own kind signed under another domain', async () => {
    const payload = encodeObject(COMMITMENT, ONE);
    const tree = new MerkleTree([payload, payload].map(computeLeafHash));
    const statement = encodeObject(BATCH, {
      type: 'fogproof/batch@1',
      itemType: COMMITMENT.type,
      root: tree.root,
      size: 2,
    });
    const root = await alice.seal(envelopeDomain(COMMITMENT.type), encodeUtf8(COMMITMENT.type), statement);
    await expect(openMany(COMMITMENT, { kind: 'batch', root, payloads: [payload, payload] })).rejects.toEqual(
      code('PROOFS_BAD_ENVELOPE'),
    );
  });

  it('are refused unopened under more signatures than anybody needs: verifying them would stop everything else', async () => {
    const single = await signObject(COMMITMENT, ONE, alice);
    const many = (count: number) => packSigned(Array.from({ length: count }, () => single));
    expect(await openMany(COMMITMENT, many(MAX_LISTED_SIGNATURES))).toHaveLength(MAX_LISTED_SIGNATURES);
    await expect(openMany(COMMITMENT, many(MAX_LISTED_SIGNATURES + 1))).rejects.toEqual(
      code('PROOFS_TOO_MANY_SIGNATURES'),
    );
    const batch = await signObjects(COMMITMENT, MANY, alice);
    const leaves = Array.from({ length: 10 }, () => batch.toReversed()).flat();
    expect(await openMany(COMMITMENT, packSigned(leaves))).toHaveLength(50);
    const roots = await Promise.all(
      Array.from({ length: MAX_LISTED_SIGNATURES + 1 }, async (_, index) => {
        const [leaf] = await signObjects(COMMITMENT, [ONE, { ...TWO, committedAtMs: UnixMs(index) }], alice);
        return leaf ?? single;
      }),
    );
    await expect(openMany(COMMITMENT, packSigned(roots))).rejects.toEqual(code('PROOFS_TOO_MANY_SIGNATURES'));
  });

  it('travel each with its own signature when they are not one whole batch', async () => {
    const signed = await signObjects(COMMITMENT, MANY, alice);
    const single = await signObject(COMMITMENT, ONE, bob);
    for (const items of [signed.slice(1), signed.toReversed(), [...signed, single], [single]]) {
      const packed = packSigned(items);
      expect(packed.kind).toBe('each');
      expect(await openMany(COMMITMENT, packed)).toEqual(items);
    }
    await expect(openMany(COMMITMENT, packSigned([...signed, single]), alice.peer)).rejects.toEqual(
      code('PROOFS_WRONG_SIGNER'),
    );
  });
});
