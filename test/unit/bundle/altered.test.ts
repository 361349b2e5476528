import { generateKeyPairFromSeed } from '@libp2p/crypto/keys';
import { RecordEnvelope } from '@libp2p/peer-record';
import { CID } from 'multiformats/cid';
import { describe, expect, it } from 'vitest';
import { assessEvidence } from '../../../src/bundle/verify.ts';
import type { Bundle, BundleAttempt } from '../../../src/domain/bundle.ts';
import type { SignedWire } from '../../../src/domain/signed.ts';
import { encodeUtf8 } from '../../../src/lib/bytes.ts';
import { decodeCanonical, encodeCanonical } from '../../../src/lib/canonical-cbor.ts';
import { computeObjectCid } from '../../../src/lib/cid.ts';
import { buildBundle, party } from '../../support/bundle-builder.ts';
import { contentsOf } from '../../support/checkpoint-builder.ts';

/** What of an attempt is one signed object. */
type OwnName = Exclude<keyof BundleAttempt, 'inherited'>;
/** Of the first attempt that was inherited from, what is one signed object; the last checkpoint was taken over. */
const INHERITED = ['inherited lease', 'inherited acceptance', 'last checkpoint'] as const;
type WireName = OwnName | 'job' | (typeof INHERITED)[number];
type Inherited = NonNullable<BundleAttempt['inherited']>[number];

/** Every signed object of a bundle of two replicas: how to replace it, and the check that judges its signature. */
const OBJECTS: Readonly<Record<string, WireName>> = {
  'job signature': 'job',
  'attempt 1: lease signature': 'lease',
  'attempt 1: acceptance signature': 'acceptance',
  'attempt 1: receipt signature': 'receipt',
  'attempt 1: commitment signature': 'commitment',
  'attempt 1: set signature': 'setSignature',
  'attempt 1: lease renewal': 'lastProgress',
  'attempt 1: inherited 1: lease signature': 'inherited lease',
  'attempt 1: inherited 1: acceptance signature': 'inherited acceptance',
  'attempt 1: inherited 1: checkpoint signatures': 'last checkpoint',
};

const { bundle: honest, chains } = await buildBundle({
  replicas: 2,
  withProgress: true,
  checkpoints: { every: 4, before: [party(4)] },
});
const strangerKey = (await generateKeyPairFromSeed('Ed25519', new Uint8Array(32).fill(99))).publicKey;

function isInherited(object: WireName): object is (typeof INHERITED)[number] {
  return INHERITED.some((name) => name === object);
}

function readInherited({ lease, acceptance, checkpoints }: Inherited, object: WireName): SignedWire | undefined {
  if (object === 'inherited lease') return lease;
  if (object === 'inherited acceptance') return acceptance;
  return checkpoints.at(-1);
}

function replaceInherited(inherited: Inherited, object: WireName, wire: SignedWire): Inherited {
  if (object === 'inherited lease') return { ...inherited, lease: wire };
  if (object === 'inherited acceptance') return { ...inherited, acceptance: wire };
  return { ...inherited, checkpoints: inherited.checkpoints.with(-1, wire) };
}

function wireOf(bundle: Bundle, object: WireName): Extract<SignedWire, { kind: 'envelope' }> {
  const [attempt] = bundle.attempts;
  const [earlier] = attempt?.inherited ?? [];
  const own = object === 'job' || isInherited(object) ? undefined : attempt?.[object];
  const wire = object === 'job' ? bundle.job : (own ?? (earlier && readInherited(earlier, object)));
  if (wire?.kind !== 'envelope') throw new TypeError(`no envelope of ${object}`);
  return wire;
}

function replaceWire(bundle: Bundle, object: WireName, wire: SignedWire | null): Bundle {
  if (object === 'job') return wire === null ? bundle : { ...bundle, job: wire };
  return {
    ...bundle,
    attempts: bundle.attempts.map((attempt, index) => {
      if (index > 0) return attempt;
      if (!isInherited(object)) return { ...attempt, [object]: wire };
      if (wire === null || attempt.inherited === undefined) return attempt;
      return { ...attempt, inherited: attempt.inherited.map((one) => replaceInherited(one, object, wire)) };
    }),
  };
}

type Parts = ConstructorParameters<typeof RecordEnvelope>[0];

function alterEnvelope(wire: Extract<SignedWire, { kind: 'envelope' }>, change: (parts: Parts) => Partial<Parts>) {
  const { publicKey, payloadType, payload, signature } = RecordEnvelope.createFromProtobuf(wire.envelope);
  const parts = { publicKey, payloadType, payload, signature };
  return { kind: 'envelope' as const, envelope: new RecordEnvelope({ ...parts, ...change(parts) }).marshal() };
}

/** The value with one leaf changed, once for each leaf. */
function* alterLeaves(value: unknown, path: string): Iterable<[path: string, altered: unknown]> {
  if (Array.isArray(value)) {
    yield [`${path}.length`, [...value, 'one more']];
    for (const [index, item] of value.entries()) {
      for (const [at, altered] of alterLeaves(item, `${path}.${index}`)) yield [at, value.with(index, altered)];
    }
    return;
  }
  if (typeof value === 'object' && value !== null && !ArrayBuffer.isView(value) && CID.asCID(value) === null) {
    for (const [key, field] of Object.entries(value)) {
      const { [key]: _, ...others } = value as Record<string, unknown>;
      yield [`${path}.${key} left out`, others];
      for (const [at, altered] of alterLeaves(field, `${path}.${key}`)) yield [at, { ...value, [key]: altered }];
    }
    return;
  }
  yield [path, alterLeaf(value)];
}

function alterLeaf(value: unknown): unknown {
  if (typeof value === 'number') return value + 1;
  if (typeof value === 'string') return `${value}1`;
  if (typeof value === 'boolean') return !value;
  if (value instanceof Uint8Array) return Uint8Array.from(value, (byte, index) => (index === 0 ? byte ^ 1 : byte));
  if (value === null) return new Uint8Array(32);
  return computeObjectCid(encodeUtf8('other'));
}

async function expectInvalid(bundle: Bundle, check: string): Promise<void> {
  const { verification } = await assessEvidence(bundle, {}, contentsOf(chains));
  expect(verification.verdict).toBe('invalid');
  const found = verification.assurances.flatMap(({ checks }) => checks).find(({ name }) => name === check);
  expect(found?.verdict.kind).toBe('invalid');
}

it('starts from an honest bundle', async () => {
  expect((await assessEvidence(honest, {}, contentsOf(chains))).verification.verdict).toBe('valid');
});

describe.each(Object.entries(OBJECTS))('%s', (check, object) => {
  const wire = wireOf(honest, object);
  const { payload } = RecordEnvelope.createFromProtobuf(wire.envelope);
  const leaves = [...alterLeaves(decodeCanonical(payload, { maxBytes: payload.length }), object)];

  it(`turns invalid by any change of a field (${leaves.length} changes)`, async () => {
    for (const [path, altered] of leaves) {
      const changed = alterEnvelope(wire, () => ({ payload: encodeCanonical(altered) }));
      await expectInvalid(replaceWire(honest, object, changed), check).catch((error: unknown) => {
        throw new Error(`${path} was changed`, { cause: error });
      });
    }
  });

  it.each<[string, (parts: Parts) => Partial<Parts>]>([
    [
      'a flipped signature',
      ({ signature }) => ({ signature: signature.map((byte, at) => (at === 5 ? byte ^ 1 : byte)) }),
    ],
    ['no signature', () => ({ signature: new Uint8Array() })],
    ['another key', () => ({ publicKey: strangerKey })],
    ['another payload type', () => ({ payloadType: encodeUtf8('fogproof/batch@1') })],
  ])('turns invalid by %s', async (_, change) => {
    await expectInvalid(replaceWire(honest, object, alterEnvelope(wire, change)), check);
  });

  it('turns invalid by an envelope cut short', async () => {
    const envelope = wire.envelope.slice(0, -10);
    await expectInvalid(replaceWire(honest, object, { kind: 'envelope', envelope }), check);
  });
});

describe('objects that may be absent', () => {
  it('is not valid without a commitment, a set signature or both', async () => {
    for (const object of ['commitment', 'setSignature'] as const) {
      const { verification } = await assessEvidence(replaceWire(honest, object, null));
      expect(verification.verdict).toBe('invalid');
    }
  });

  it('puts the objects of one attempt into another', async () => {
    const other = honest.attempts[1];
    for (const [check, object] of Object.entries(OBJECTS)) {
      if (object === 'job' || isInherited(object) || other === undefined) continue;
      const swapped = replaceWire(honest, object, other[object] ?? null);
      const { verification } = await assessEvidence(swapped);
      expect(verification.verdict, check).toBe('invalid');
    }
  });
});

describe('a job under a batch signature', () => {
  const alterations: readonly [string, (wire: Extract<SignedWire, { kind: 'batch' }>) => SignedWire][] = [
    [
      'payload',
      (wire) => ({ ...wire, payload: Uint8Array.from(wire.payload, (byte, at) => (at === 9 ? byte ^ 1 : byte)) }),
    ],
    ['index', (wire) => ({ ...wire, index: wire.index + 1 })],
    ['path', (wire) => ({ ...wire, path: wire.path.map((hash) => hash.map((byte) => byte ^ 1)) })],
    ['path left out', (wire) => ({ ...wire, path: [] })],
    ['root', (wire) => ({ ...wire, root: wire.root.slice(0, -1) })],
  ];

  it.each(alterations)('turns invalid by a changed %s', async (_, alter) => {
    const { bundle } = await buildBundle({ jobSigning: 'batch' });
    if (bundle.job.kind !== 'batch') throw new TypeError('the job was signed in a batch');
    await expectInvalid({ ...bundle, job: alter(bundle.job) }, 'job signature');
  });
});
