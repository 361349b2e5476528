import { encodeOnnx, type OnnxGraph, type OnnxNode, type OnnxTensor } from '../../scripts/onnx/onnx-model.ts';

const ROWS = { name: 'x', shape: ['rows', 2] } as const;
const OUT = { name: 'y', shape: ['rows', 2] } as const;

/** y = 2 x + 1 for rows of two numbers. */
export function affineModel(factor = 2): Uint8Array {
  return encodeOnnx({
    inputs: [ROWS],
    outputs: [OUT],
    weights: [
      { name: 'factor', shape: [], values: [factor] },
      { name: 'one', shape: [], values: [1] },
    ],
    nodes: [
      { operator: 'Mul', inputs: ['x', 'factor'], outputs: ['product'] },
      { operator: 'Add', inputs: ['product', 'one'], outputs: ['y'] },
    ],
  });
}

/** y = a - b, with two inputs. */
export function differenceModel(): Uint8Array {
  return encodeOnnx({
    inputs: [
      { name: 'a', shape: ['rows', 2] },
      { name: 'b/c', shape: ['rows', 2] },
    ],
    outputs: [{ name: 'y:0', shape: ['rows', 2] }],
    nodes: [{ operator: 'Sub', inputs: ['a', 'b/c'], outputs: ['y:0'] }],
  });
}

/** One node after what is given of it; `x` is its input and `y` its output. */
export function nodeModel(node: Partial<OnnxNode>, weights: readonly OnnxTensor[] = []): Uint8Array {
  return encodeOnnx({
    inputs: [ROWS],
    outputs: [OUT],
    weights,
    nodes: [{ operator: 'Identity', inputs: ['x'], outputs: ['y'], ...node }],
  });
}

/** The mean over all rows is taken away: rows depend on each other. */
export function centringModel(): Uint8Array {
  return encodeOnnx({
    inputs: [ROWS],
    outputs: [OUT],
    nodes: [
      { operator: 'ReduceMean', inputs: ['x'], outputs: ['mean'], attributes: [{ name: 'keepdims', int: 1 }] },
      { operator: 'Sub', inputs: ['x', 'mean'], outputs: ['y'] },
    ],
  });
}

/** Its output has one row, whatever the input has. */
export function oneRowModel(): Uint8Array {
  return encodeOnnx({
    inputs: [ROWS],
    outputs: [OUT],
    weights: [{ name: 'axis', type: 'int64', shape: [1], values: [0] }],
    nodes: [
      { operator: 'ReduceSum', inputs: ['x', 'axis'], outputs: ['y'], attributes: [{ name: 'keepdims', int: 1 }] },
    ],
  });
}

/** Turns a loop for as many times as `turns` says. */
export function loopModel(turns: number): Uint8Array {
  const body: OnnxGraph = {
    inputs: [
      { name: 'turn', type: 'int64', shape: [] },
      { name: 'goes_on', type: 'bool', shape: [] },
      { name: 'before', shape: ['rows', 2] },
    ],
    outputs: [
      { name: 'still', type: 'bool', shape: [] },
      { name: 'after', shape: ['rows', 2] },
    ],
    nodes: [
      { operator: 'Identity', inputs: ['goes_on'], outputs: ['still'] },
      { operator: 'Neg', inputs: ['before'], outputs: ['after'] },
    ],
  };
  const weights: OnnxTensor[] = [
    { name: 'turns', type: 'int64', shape: [], values: [turns] },
    { name: 'yes', type: 'bool', shape: [], values: [1] },
  ];
  return nodeModel(
    { operator: 'Loop', inputs: ['turns', 'yes', 'x'], attributes: [{ name: 'body', graph: body }] },
    weights,
  );
}

/** Asks for an array of so many numbers, along with its input. */
export function bombModel(elements: readonly number[]): Uint8Array {
  return encodeOnnx({
    inputs: [ROWS],
    outputs: [{ name: 'y', shape: ['rows', 2] }],
    weights: [{ name: 'shape', type: 'int64', shape: [elements.length], values: elements }],
    nodes: [
      { operator: 'ConstantOfShape', inputs: ['shape'], outputs: ['zeros'] },
      { operator: 'ReduceSum', inputs: ['zeros'], outputs: ['sum'], attributes: [{ name: 'keepdims', int: 0 }] },
      { operator: 'Add', inputs: ['x', 'sum'], outputs: ['y'] },
    ],
  });
}

/** Gives back `rows` rows of its input's two numbers, repeated. */
export function expandModel(shape: readonly number[]): Uint8Array {
  return encodeOnnx({
    inputs: [{ name: 'x', shape: [1, 2] }],
    outputs: [{ name: 'y', shape: ['many', 2] }],
    weights: [{ name: 'shape', type: 'int64', shape: [shape.length], values: shape }],
    nodes: [{ operator: 'Expand', inputs: ['x', 'shape'], outputs: ['y'] }],
  });
}

/** Gives back its input under a name. */
export function namedModel(output: string): Uint8Array {
  return encodeOnnx({
    inputs: [ROWS],
    outputs: [{ ...OUT, name: output }],
    nodes: [{ operator: 'Identity', inputs: ['x'], outputs: [output] }],
  });
}
