/**
 * docs/stepping.md written down a second time, with nothing of src/: whatever the vectors say follows from their memory,
 * globals, output, metrics and figures.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import {
  type CheckpointVector,
  renderVector,
  type SparseBytes,
  type SteppingVector,
  VECTOR_PLANS,
} from '../support/stepping-vectors.ts';

const PIECE = 65_536;
const read = (name: string): string => readFileSync(new URL(`stepping/${name}.json`, import.meta.url), 'utf8');
const parse = (name: string): SteppingVector => JSON.parse(read(name)) as SteppingVector;

const bytes = (hex: string): Buffer => Buffer.from(hex, 'hex');
const sha256 = (...parts: readonly Uint8Array[]): Buffer => createHash('sha256').update(Buffer.concat(parts)).digest();
const u8 = (value: number): Buffer => Buffer.of(value);
function u32(value: number): Buffer {
  const buffer = Buffer.alloc(4);
  buffer.writeUInt32BE(value);
  return buffer;
}
function u64(value: number): Buffer {
  const buffer = Buffer.alloc(8);
  buffer.writeBigUInt64BE(BigInt(value));
  return buffer;
}

/** RFC 6962 section 2.1. */
function merkleRoot(leaves: readonly Uint8Array[]): Buffer {
  const [only] = leaves;
  if (only === undefined) return sha256();
  if (leaves.length === 1) return sha256(u8(0), only);
  let split = 1;
  while (split * 2 < leaves.length) split *= 2;
  return sha256(u8(1), merkleRoot(leaves.slice(0, split)), merkleRoot(leaves.slice(split)));
}

function expand({ length, parts }: SparseBytes): Buffer {
  const whole = Buffer.alloc(length);
  for (const [offset, hex] of parts) bytes(hex).copy(whole, offset);
  return whole;
}

function cut(whole: Buffer): Buffer[] {
  return Array.from({ length: Math.ceil(whole.length / PIECE) }, (_, index) =>
    whole.subarray(index * PIECE, (index + 1) * PIECE),
  );
}

function computeMetricsHash({ metrics }: CheckpointVector): Buffer {
  let head = sha256();
  for (const { step, name, bits } of metrics) {
    const text = Buffer.from(name, 'utf8');
    head = sha256(head, u64(step), u32(text.length), text, bytes(bits));
  }
  return head;
}

function encodeHost(checkpoint: CheckpointVector): Buffer {
  const { fields } = checkpoint;
  const count = (name: string): Buffer => u64(Number(fields[name]));
  return Buffer.concat([
    u8(1),
    u8(fields['isDone'] === true ? 1 : 0),
    Buffer.alloc(2),
    ...['steps', 'fuel', 'randomBytes', 'outputBytes', 'logBytes', 'logs', 'metrics'].map(count),
    u32(checkpoint.memory.length / PIECE),
    u32(fields['isOutputWritten'] === true ? 1 : 0),
    count('nextCheckpointFuel'),
    computeMetricsHash(checkpoint),
  ]);
}

function computeStateRoot(checkpoint: CheckpointVector): Buffer {
  return merkleRoot([
    Buffer.concat([u8(1), encodeHost(checkpoint)]),
    Buffer.concat([u8(2), bytes(checkpoint.globals)]),
    ...cut(expand(checkpoint.memory)).map((page) => Buffer.concat([u8(3), sha256(page)])),
    ...cut(expand(checkpoint.output)).map((piece) => Buffer.concat([u8(5), sha256(piece)])),
  ]);
}

function computeInputRoot({ module, job }: SteppingVector): Buffer {
  const code = bytes(module.hex);
  const inputs = job.inputs
    .map(({ path, hex }) => ({ path: Buffer.from(path, 'utf8'), blob: bytes(hex) }))
    .toSorted((a, b) => a.path.compare(b.path));
  return merkleRoot([
    Buffer.concat([u8(0), sha256(code), u64(code.length), bytes(job.seed)]),
    ...inputs.map(({ path, blob }) => Buffer.concat([u8(1), u32(path.length), path, sha256(blob), u64(blob.length)])),
  ]);
}

function computeHeads(vector: SteppingVector): Buffer[] {
  const prefix = Buffer.from('fogproof/checkpoint@1', 'ascii');
  const owner = [bytes(vector.job.digest), bytes(vector.lease)];
  const heads: Buffer[] = [];
  for (const checkpoint of vector.checkpoints) {
    const before = heads.at(-1);
    const root = computeStateRoot(checkpoint);
    const parent = vector.parent === null ? Buffer.alloc(32) : bytes(vector.parent);
    const time = u64(checkpoint.atMs);
    const step = u64(checkpoint.step);
    heads.push(
      before === undefined
        ? sha256(prefix, u8(0), ...owner, computeInputRoot(vector), step, parent, root)
        : sha256(prefix, u8(1), ...owner, step, before, root, computeMetricsHash(checkpoint), time),
    );
  }
  return heads;
}

const hex = (value: Uint8Array): string => Buffer.from(value).toString('hex');

describe.each(VECTOR_PLANS.map((plan) => [plan.name, plan] as const))('stepping vector %s', (name, plan) => {
  const vector = parse(name);

  it('is what the program gives', () => {
    expect(renderVector(plan)).toBe(read(name));
  });

  it('has host states, digests and roots that follow from what they are of', () => {
    for (const checkpoint of vector.checkpoints) {
      expect(hex(computeMetricsHash(checkpoint))).toBe(checkpoint.metricsHash);
      expect(hex(encodeHost(checkpoint))).toBe(checkpoint.host);
      expect(cut(expand(checkpoint.memory)).map((page) => hex(sha256(page)))).toEqual(checkpoint.pages);
      expect(cut(expand(checkpoint.output)).map((piece) => hex(sha256(piece)))).toEqual(checkpoint.pieces);
      expect(hex(computeStateRoot(checkpoint))).toBe(checkpoint.stateRoot);
    }
  });

  it('has a chain that follows from its roots', () => {
    const heads = computeHeads(vector);
    expect(hex(computeInputRoot(vector))).toBe(vector.inputRoot);
    expect(heads.map(hex)).toEqual(vector.checkpoints.map(({ head }) => head));
    expect(hex(merkleRoot(heads.slice(1)))).toBe(vector.checkpointRoot);
  });
});

describe('stepping vectors', () => {
  it('have what another implementation may get wrong', () => {
    const all = VECTOR_PLANS.flatMap(({ name }) => parse(name).checkpoints);
    expect(all.some(({ pages }) => pages.length > 2)).toBe(true);
    expect(all.some(({ pieces }) => pieces.length > 3)).toBe(true);
    expect(all.some(({ fields, output }) => fields['isOutputWritten'] === true && output.length === 0)).toBe(true);
    expect(all.some(({ globals }) => globals.startsWith('7d000000007fa00001', 18))).toBe(true);
    expect(all.some(({ metrics }) => metrics.some(({ bits }) => bits === '7ff8000000000000'))).toBe(true);
    expect(new Set(all.map(({ fields }) => fields['nextCheckpointFuel'])).size).toBeGreaterThan(3);
  });

  it('go on from a state with the roots of the run that was not disturbed', () => {
    const roots = (name: string): string[] =>
      parse(name).checkpoints.map(({ step, stateRoot }) => `${step} ${stateRoot}`);
    expect(roots('everything-resumed')).toEqual(roots('everything').slice(1));
  });
});
