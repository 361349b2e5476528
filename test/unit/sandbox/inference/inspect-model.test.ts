import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeOnnx, type OnnxGraph } from '../../../../scripts/onnx/onnx-model.ts';
import { inspectModel } from '../../../../src/sandbox/executors/inference/inspect-model.ts';
import { parseReply } from '../../../../src/sandbox/executors/inference/parse-reply.ts';
import { affineModel, loopModel, nodeModel } from '../../../support/onnx-models.ts';

const EXTERNAL = 'it keeps weights in files of their own: save it with its weights inside';
const weight = { name: 'w', shape: [2], externalFile: 'x' } as const;

describe('inspecting a model', () => {
  it('finds nothing in models that keep to what is taken', () => {
    expect(inspectModel(affineModel())).toBeNull();
    expect(inspectModel(loopModel(3))).toBeNull();
  });

  it('finds weights outside of it wherever they may stand', () => {
    const constant = { operator: 'Constant', inputs: [], attributes: [{ name: 'value', tensor: weight }] };
    expect(inspectModel(nodeModel({}, [weight]))).toBe(EXTERNAL);
    expect(inspectModel(nodeModel(constant))).toBe(EXTERNAL);
    const inner: OnnxGraph = { inputs: [], outputs: [], nodes: [{ ...constant, outputs: ['c'] }] };
    expect(inspectModel(nodeModel({ operator: 'If', attributes: [{ name: 'then_branch', graph: inner }] }))).toBe(
      EXTERNAL,
    );
  });

  it('ends at graphs that lie too deep in one another', () => {
    let graph: OnnxGraph = { inputs: [], outputs: [], nodes: [] };
    for (let depth = 0; depth < 30; depth += 1) {
      graph = {
        inputs: [],
        outputs: [],
        nodes: [{ operator: 'If', inputs: [], outputs: [], attributes: [{ name: 'then_branch', graph }] }],
      };
    }
    expect(inspectModel(encodeOnnx(graph))).toBe('its graphs lie too deep in one another');
  });

  it('ends soon on millions of empty fields, and on groups within groups', () => {
    const startedAt = performance.now();
    expect(inspectModel(Buffer.alloc(4_000_000, Uint8Array.of(0x20, 0x01)))).toContain('has more than 1000000 fields');
    expect(inspectModel(new Uint8Array(1_000_000).fill(0x0b))).toBe('it is no ONNX model');
    expect(performance.now() - startedAt).toBeLessThan(5000);
  });

  it('never throws', () => {
    const model = affineModel();
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        inspectModel(bytes);
      }),
    );
    fc.assert(
      fc.property(fc.nat(model.length - 1), fc.nat(255), (at, value) => {
        const changed = model.slice();
        changed[at] = value;
        inspectModel(changed);
        inspectModel(model.slice(0, at));
      }),
    );
  });
});

describe('replies of a child', () => {
  const parse = (value: unknown) => parseReply(new TextEncoder().encode(JSON.stringify(value)));

  it('are taken as they are', () => {
    const loaded = {
      kind: 'loaded',
      inputs: [{ name: 'x', type: 'float32', shape: ['rows', 2] }],
      outputs: [{ name: 'y', type: 'none', shape: [] }],
    };
    expect(parse(loaded)).toEqual(loaded);
    expect(parse({ kind: 'done' })).toEqual({ kind: 'done' });
  });

  it.each<unknown>([
    null,
    [],
    'done',
    {},
    { kind: 'other' },
    { kind: 'done', more: 1 },
    { kind: 'too-large', item: -1, sizeBytes: 1 },
    { kind: 'too-large', item: 0, sizeBytes: 1e300 },
    { kind: 'item', item: 0, outputs: [] },
    { kind: 'item', item: 0, outputs: [{ name: 'y', type: 'string', shape: [] }] },
    { kind: 'item', item: 0, outputs: [{ name: 'y', type: 'float32', shape: [1.5] }] },
    { kind: 'item', item: 0, outputs: [{ name: 'y'.repeat(257), type: 'float32', shape: [] }] },
    { kind: 'item', item: 0, outputs: [{ name: 'y', type: 'float32', shape: Array(33).fill(1) }] },
  ])('are refused: %j', (value) => {
    expect(() => parse(value)).toThrow(expect.objectContaining({ code: 'SANDBOX_PROTOCOL' }));
  });

  it('are bounded, and garbage is refused', () => {
    expect(() => parseReply(new Uint8Array(300_000))).toThrow('too long');
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
        expect(() => parseReply(bytes)).toThrow(expect.objectContaining({ code: 'SANDBOX_PROTOCOL' }));
      }),
    );
  });
});
