import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { jobPathSchema } from '../../../../src/domain/job.ts';
import { encodeNpy } from '../../../../src/lib/npy.ts';
import { chooseBatch } from '../../../../src/sandbox/executors/inference/choose-batch.ts';
import {
  bindItem,
  countRows,
  type InferenceItem,
  isBatchable,
  outputPath,
  planItems,
} from '../../../../src/sandbox/executors/inference/plan-items.ts';

const file = (shape: readonly number[], type: 'float32' | 'uint8' = 'float32'): Uint8Array => {
  const elements = shape.reduce((product, size) => product * size, 1);
  return encodeNpy({ type, shape, bytes: new Uint8Array(elements * (type === 'float32' ? 4 : 1)) });
};

function plan(files: Readonly<Record<string, Uint8Array>>): readonly InferenceItem[] {
  const planned = planItems(Object.entries(files).map(([path, bytes]) => ({ path, bytes })));
  if (planned.kind === 'refused') throw new TypeError(planned.detail);
  return planned.items;
}

describe('items of a job', () => {
  it('are files, or folders with one for each input, in order of name', () => {
    const items = plan({ '/input/b.npy': file([1]), '/input/a/y.npy': file([2]), '/input/a/x%2F1.npy': file([3]) });
    expect(items.map(({ name, tensors }) => [name, tensors.map((tensor) => tensor.name)])).toEqual([
      ['a', ['x/1', 'y']],
      ['b', [null]],
    ]);
  });

  it.each<readonly [string, Readonly<Record<string, Uint8Array>>]>([
    ['there are no items under /input', {}],
    ['expected /input/ITEM.npy', { '/other/a.npy': file([1]) }],
    ['expected /input/ITEM.npy', { '/input/a/b/c.npy': file([1]) }],
    ['expected /input/ITEM.npy', { '/input/a.txt': file([1]) }],
    ['is there twice', { '/input/a.npy': file([1]), '/input/a/x.npy': file([1]) }],
    ['is there twice', { '/input/a/x.npy': file([1]), '/input/a/%78.npy': file([1]) }],
    ['malformed or too long', { '/input/a/%zz.npy': file([1]) }],
    ['malformed or too long', { [`/input/a/${'x'.repeat(300)}.npy`]: file([1]) }],
    ['it is no .npy file', { '/input/a.npy': new Uint8Array(3) }],
  ])('are refused: %s', (detail, files) => {
    const planned = planItems(Object.entries(files).map(([path, bytes]) => ({ path, bytes })));
    expect(planned).toMatchObject({ kind: 'refused', detail: expect.stringContaining(detail) });
  });

  it('put outputs of any name where a job may have them', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 40, unit: 'binary' }), (name) => {
        const path = outputPath('item', name);
        expect(jobPathSchema.safeParse(path).success).toBe(true);
        expect(path.split('/')).toHaveLength(4);
        if (name.isWellFormed())
          expect(decodeURIComponent(path.slice('/output/item/'.length, -'.npy'.length))).toBe(name);
      }),
    );
  });

  it('are bound to the inputs of the model by name, type and shape', () => {
    const slots = [{ name: 'x', type: 'float32', shape: ['rows', 2] }];
    const [item, named, three] = plan({
      '/input/a.npy': file([4, 2]),
      '/input/b/x.npy': file([1, 2]),
      '/input/c.npy': file([1, 3]),
    });
    if (item === undefined || named === undefined || three === undefined) throw new TypeError('no items');
    expect(bindItem(item, slots)).toMatchObject({ tensors: [{ name: 'x' }] });
    expect(bindItem(named, slots)).toEqual(named);
    expect(bindItem(three, slots)).toContain('float32 of (1, 3), and the model takes float32 of (rows, 2)');
    expect(bindItem(item, [...slots, { name: 'y', type: 'float32', shape: [] }])).toContain(
      'the model has 2 inputs (x, y)',
    );
    expect(bindItem(named, [{ name: 'other', type: 'float32', shape: [1, 2] }])).toContain(
      'the inputs of the model are other',
    );
    const [bytes] = plan({ '/input/a.npy': file([1, 2], 'uint8') });
    expect(bytes && bindItem(bytes, slots)).toContain('x is uint8');
  });

  it('may be put together where all first dimensions of the model have one name', () => {
    const slot = (...shape: (number | string)[]) => ({ name: 'x', type: 'float32', shape });
    expect(isBatchable([slot('n', 2)], [slot('n', 3)])).toBe(true);
    expect(isBatchable([slot('n', 2), slot('n')], [slot('n')])).toBe(true);
    expect(isBatchable([slot(1, 2)], [slot(1, 3)])).toBe(false);
    expect(isBatchable([slot('', 2)], [slot('', 3)])).toBe(false);
    expect(isBatchable([slot('n', 2)], [slot('m', 3)])).toBe(false);
    expect(isBatchable([slot('n', 2), slot(3)], [slot('n')])).toBe(false);
    expect(isBatchable([slot()], [slot()])).toBe(false);
  });
});

describe('the next call of a model', () => {
  const items = (rows: readonly number[], columns = 2): readonly InferenceItem[] =>
    plan(
      Object.fromEntries(
        rows.map((count, index) => [`/input/${String(index).padStart(3, '0')}.npy`, file([count, columns])]),
      ),
    );
  const task = (
    waiting: readonly InferenceItem[],
    fields: Partial<{ session: string; batchRows: number | null; isAlone: boolean }> = {},
  ) => ({
    session: 's',
    batchRows: 8,
    isAlone: false,
    waiting,
    ...fields,
  });
  const on = { isBatchable: true };

  it('has no more rows than the job allows, and the first item always', () => {
    const tasks = fc.array(
      fc.record({
        rows: fc.array(fc.integer({ min: 0, max: 12 }), { minLength: 1, maxLength: 6 }),
        session: fc.constantFrom('s', 't'),
        batchRows: fc.constantFrom(null, 4, 8),
        isAlone: fc.boolean(),
        columns: fc.constantFrom(1, 2),
      }),
      { minLength: 1, maxLength: 4 },
    );
    fc.assert(
      fc.property(tasks, fc.boolean(), (list, batchable) => {
        const candidates = list.map(({ rows, columns, ...fields }) => task(items(rows, columns), fields));
        const [lead] = candidates;
        if (lead === undefined) return;
        const chosen = chooseBatch(candidates, { isBatchable: batchable });
        expect(chosen[0]).toEqual({ task: lead, item: lead.waiting[0] });
        expect(new Set(chosen.map(({ item }) => item)).size).toBe(chosen.length);
        if (chosen.length === 1) return;
        expect(batchable).toBe(true);
        const rows = chosen.reduce((sum, { item }) => sum + (countRows(item) ?? Number.POSITIVE_INFINITY), 0);
        expect(rows).toBeLessThanOrEqual(lead.batchRows ?? 0);
        for (const { task: other } of chosen) {
          expect([other.session, other.batchRows]).toEqual([lead.session, lead.batchRows]);
          expect(other === lead || (!other.isAlone && !lead.isAlone)).toBe(true);
        }
      }),
    );
  });

  it('takes what waits of other jobs, and leaves other models, shapes and options apart', () => {
    const a = task(items([1, 1]));
    const others = [
      task(items([1]), { session: 't' }),
      task(items([1]), { batchRows: 4 }),
      task(items([1], 3)),
      task(items([2])),
    ];
    expect(chooseBatch([a, ...others], on).map(({ task: chosen }) => chosen)).toEqual([a, a, others[3]]);
    expect(chooseBatch([a, ...others], { isBatchable: false })).toHaveLength(1);
    expect(chooseBatch([task(a.waiting, { isAlone: true }), ...others], on)).toHaveLength(2);
    expect(chooseBatch([], on)).toEqual([]);
  });
});
