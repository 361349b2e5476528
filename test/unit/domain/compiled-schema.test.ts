import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { decodeFast, encodeFast } from '../../../src/domain/compiled-schema.ts';
import { JOB } from '../../../src/domain/job.ts';
import { LEASE, LEASE_ACCEPTANCE, PROGRESS } from '../../../src/domain/lease.ts';
import { jobRequestSchema, jobResponseSchema } from '../../../src/domain/messages.ts';
import { RECEIPT, RESULT } from '../../../src/domain/receipt.ts';
import { BATCH, signedManyWireSchema } from '../../../src/domain/signed.ts';
import { decodeCanonical, encodeCanonical } from '../../../src/lib/canonical-cbor.ts';
import { computeObjectCid, computeRawCid } from '../../../src/lib/cid.ts';
import * as arbitrary from '../../support/domain-arbitraries.ts';

const MAX_BYTES = 1024 * 1024;

function encodeByZod(schema: z.ZodType, value: unknown): Uint8Array | undefined {
  const result = z.safeEncode(schema, value as never);
  return result.success ? encodeCanonical(result.data) : undefined;
}

function decodeByZod(schema: z.ZodType, bytes: Uint8Array): unknown {
  const wire = decodeCanonical(bytes, { maxBytes: MAX_BYTES, floats: 'allow' });
  return z.safeDecode(schema, wire as never).data;
}

const leaves = fc.oneof(
  fc.constantFrom<unknown>(null, true, false, '', '/a', '/../a', 'wasm', 'completed', 'batch', '12D3KooW', -1, 0, 17),
  fc.maxSafeInteger(),
  fc.double(),
  fc.string({ maxLength: 70 }),
  fc.uint8Array({ maxLength: 40 }),
  fc.uint8Array({ minLength: 32, maxLength: 32 }),
  fc.constantFrom(computeRawCid(new Uint8Array(1)), computeObjectCid(new Uint8Array(1))),
);

/** A copy with the part at `path` replaced, removed, or with a field beside it. */
function mutate(value: unknown, path: readonly number[], change: (part: unknown) => unknown): unknown {
  const [step, ...rest] = path;
  if (step === undefined || typeof value !== 'object' || value === null) return change(value);
  if (value instanceof Uint8Array || '/' in value) return change(value);
  const keys = Object.keys(value);
  const key = keys[step % Math.max(1, keys.length)];
  if (key === undefined) return change(value);
  const part = mutate((value as Record<string, unknown>)[key], rest, change);
  if (Array.isArray(value)) return value.map((item, index) => (String(index) === key ? part : item));
  const copy: Record<string, unknown> = { ...value, [key]: part };
  if (part === undefined) delete copy[key];
  return copy;
}

const changes = fc.oneof(
  leaves.map((leaf) => () => leaf),
  fc.constant(() => undefined),
  fc.constant((part: unknown) => (typeof part === 'object' ? { ...part, extra: 1 } : [part])),
  fc.constant((part: unknown) =>
    Array.isArray(part) ? [...part, ...part] : typeof part === 'string' ? `${part}x` : 'x',
  ),
);

const payloads = fc.array(fc.uint8Array({ maxLength: 100 }), { minLength: 1, maxLength: 4 });
const many = fc.record({ kind: fc.constant('batch'), root: fc.uint8Array(), payloads });
const blob = computeRawCid(new Uint8Array(2)).toString();
const inlineBlobs = fc.array(fc.uint8Array().map((bytes) => ({ blob, bytes })));

const CASES: readonly [string, z.ZodType, fc.Arbitrary<unknown>][] = [
  ['job', JOB.schema, arbitrary.jobs],
  ['job of a command', JOB.schema, arbitrary.commandJobs],
  ['job of an image', JOB.schema, arbitrary.containerJobs],
  ['job of a model', JOB.schema, arbitrary.inferenceJobs],
  ['lease', LEASE.schema, arbitrary.leases],
  ['acceptance', LEASE_ACCEPTANCE.schema, arbitrary.leaseAcceptances],
  ['progress', PROGRESS.schema, arbitrary.progresses],
  ['result', RESULT.schema, arbitrary.results],
  ['receipt', RECEIPT.schema, arbitrary.receipts],
  ['batch', BATCH.schema, arbitrary.batches],
  ['many', signedManyWireSchema, many],
  ['request', jobRequestSchema, fc.record({ op: fc.constant('lease'), jobs: many, leases: many, inlineBlobs })],
  ['response', jobResponseSchema, fc.record({ kind: fc.constant('receipts'), receipts: many, inlineBlobs })],
];

describe.each(CASES)('%s', (_name, schema, made) => {
  // As a decoder gives it: fast-check also makes objects without a prototype, which are left to zod.
  const values = made.map((value) => decodeByZod(schema, encodeByZod(schema, value) ?? new Uint8Array()));
  it('is encoded and decoded as by zod', () => {
    fc.assert(
      fc.property(values, (value) => {
        const bytes = encodeFast(schema, value);
        if (bytes !== undefined) expect(bytes).toEqual(encodeByZod(schema, value));
        const written = encodeByZod(schema, value);
        if (written === undefined) throw new Error('zod does not take what is made here');
        const read = decodeFast(schema, written, MAX_BYTES);
        if (read !== undefined) expect(read).toStrictEqual(decodeByZod(schema, written));
      }),
    );
    // Only what is not ASCII is left to the general encoder.
    const samples = fc.sample(values, { numRuns: 300, seed: 3 });
    expect(samples.some((value) => encodeFast(schema, value) !== undefined)).toBe(true);
  });

  it('is refused, or left to zod, where zod refuses it', () => {
    const path = fc.array(fc.nat({ max: 20 }), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(values, path, changes, (value, at, change) => {
        const changed = mutate(value, at, change);
        const bytes = encodeFast(schema, changed);
        if (bytes !== undefined) expect(bytes).toEqual(encodeByZod(schema, changed));
        const wire = mutate(z.encode(schema, value as never), at, change);
        const written = tryEncode(wire);
        if (written === undefined) return;
        const read = decodeFast(schema, written, MAX_BYTES);
        if (read !== undefined) expect(read).toStrictEqual(decodeByZod(schema, written));
      }),
      { numRuns: 500 },
    );
  });
});

function tryEncode(wire: unknown): Uint8Array | undefined {
  try {
    return encodeCanonical(wire);
  } catch {
    return undefined;
  }
}

it('leaves bytes to the general way that are too many, not canonical, or hold a link of another form', () => {
  const [lease] = fc.sample(arbitrary.leases, { numRuns: 1, seed: 5 });
  const bytes = encodeByZod(LEASE.schema, lease);
  if (bytes === undefined) throw new Error('no lease');
  expect(decodeFast(LEASE.schema, bytes, bytes.length)).toEqual(lease);
  expect(decodeFast(LEASE.schema, bytes, bytes.length - 1)).toBeUndefined();
  expect(decodeFast(LEASE.schema, new Uint8Array([...bytes, 0]), MAX_BYTES)).toBeUndefined();
});

it.each([
  ['a format of its own', z.strictObject({ a: z.email() }), { a: 'nobody' }],
  ['a refinement', z.strictObject({ a: z.string().refine((text) => text === 'b') }), { a: 'a' }],
  ['a refined object', z.strictObject({ a: z.string() }).refine(() => false), { a: 'a' }],
  ['a number with a fraction', z.strictObject({ a: z.number().min(3) }), { a: 1 }],
  ['a multiple', z.strictObject({ a: z.int().multipleOf(2) }), { a: 1 }],
  ['an open bound', z.strictObject({ a: z.int().gt(1) }), { a: 1 }],
  ['unknown fields', z.looseObject({ a: z.string() }), { a: 1 }],
] as const)('leaves %s to zod', (_name, schema, value) => {
  expect(encodeFast(schema as z.ZodType, value)).toBeUndefined();
  expect(decodeFast(schema as z.ZodType, encodeCanonical(value), MAX_BYTES)).toBeUndefined();
});

const BOUNDED = z.strictObject({
  list: z.array(z.string().min(1).max(2)).min(1).max(2),
  record: z.record(z.string().regex(/^[a-z]+$/), z.int().min(0).max(9)),
  maybe: z.enum(['x', 'y']).nullable(),
});

it.each([
  ['no item', { list: [], record: {}, maybe: null }],
  ['an item too many', { list: ['a', 'b', 'c'], record: {}, maybe: null }],
  ['an item too long', { list: ['abc'], record: {}, maybe: null }],
  ['a key of the wrong form', { list: ['a'], record: { A: 1 }, maybe: null }],
  ['a value out of bounds', { list: ['a'], record: { a: 10 }, maybe: null }],
  ['a value that is not listed', { list: ['a'], record: {}, maybe: 'z' }],
  ['a field that is absent', { list: ['a'], record: {} }],
  ['a field too many', { list: ['a'], record: {}, maybe: null, more: 1 }],
])('does not take %s', (_name, value) => {
  const good = { list: ['a', 'bc'], record: { a: 0, b: 9 }, maybe: 'x' as const };
  expect(decodeFast(BOUNDED, encodeCanonical(good), MAX_BYTES)).toEqual(good);
  expect(encodeFast(BOUNDED, good)).toEqual(encodeCanonical(good));
  expect(decodeFast(BOUNDED, encodeCanonical(value), MAX_BYTES)).toBeUndefined();
  expect(encodeFast(BOUNDED, value as never)).toBeUndefined();
});
