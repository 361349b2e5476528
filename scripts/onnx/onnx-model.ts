/** Writes ONNX models: the part of onnx/onnx.proto3 that examples and tests need. Numbers of types are those of TensorProto. */
import protobuf from 'protobufjs';

const SCHEMA = `syntax = "proto3";
package onnx;
message AttributeProto {
  string name = 1; float f = 2; int64 i = 3; bytes s = 4; TensorProto t = 5; GraphProto g = 6; repeated int64 ints = 8;
  int32 type = 20;
}
message ValueInfoProto { string name = 1; TypeProto type = 2; }
message NodeProto {
  repeated string input = 1; repeated string output = 2; string name = 3; string op_type = 4;
  repeated AttributeProto attribute = 5; string domain = 7;
}
message TrainingInfoProto { GraphProto initialization = 1; }
message ModelProto {
  int64 ir_version = 1; string producer_name = 2; GraphProto graph = 7; repeated OperatorSetIdProto opset_import = 8;
  repeated TrainingInfoProto training_info = 20;
}
message StringStringEntryProto { string key = 1; string value = 2; }
message TensorProto {
  repeated int64 dims = 1; int32 data_type = 2; string name = 8; bytes raw_data = 9;
  repeated StringStringEntryProto external_data = 13; int32 data_location = 14;
}
message TensorShapeProto {
  message Dimension { oneof value { int64 dim_value = 1; string dim_param = 2; } }
  repeated Dimension dim = 1;
}
message TypeProto { message Tensor { int32 elem_type = 1; TensorShapeProto shape = 2; } oneof value { Tensor tensor_type = 1; } }
message OperatorSetIdProto { string domain = 1; int64 version = 2; }
message GraphProto {
  repeated NodeProto node = 1; string name = 2; repeated TensorProto initializer = 5;
  repeated ValueInfoProto input = 11; repeated ValueInfoProto output = 12;
}
`;

/** Of TensorProto.DataType and AttributeProto.AttributeType. */
const ELEMENTS = { float32: 1, int64: 7, string: 8, bool: 9, float64: 11 } as const;
const ATTRIBUTES = { float: 1, int: 2, tensor: 4, graph: 5, ints: 7 } as const;

/** IR version 10 and operator set 21 are those of onnx 1.16; every ONNX Runtime since 1.18 takes them. */
const IR_VERSION = 10;
const OPERATOR_SET = 21;

export type ElementName = keyof typeof ELEMENTS;
type Dimension = number | string;

export interface OnnxValue {
  readonly name: string;
  readonly type?: ElementName;
  readonly shape: readonly Dimension[];
}

export interface OnnxTensor {
  readonly name: string;
  readonly type?: ElementName;
  readonly shape: readonly number[];
  /** Absent: the weights are said to lie in a file of this name. */
  readonly values?: readonly number[];
  readonly externalFile?: string;
}

export type OnnxAttribute =
  | { readonly name: string; readonly int: number }
  | { readonly name: string; readonly float: number }
  | { readonly name: string; readonly tensor: OnnxTensor }
  | { readonly name: string; readonly graph: OnnxGraph };

export interface OnnxNode {
  readonly operator: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes?: readonly OnnxAttribute[];
  readonly domain?: string;
}

export interface OnnxGraph {
  readonly nodes: readonly OnnxNode[];
  readonly weights?: readonly OnnxTensor[];
  readonly inputs: readonly OnnxValue[];
  readonly outputs: readonly OnnxValue[];
}

const { root } = protobuf.parse(SCHEMA, { keepCase: true });
const modelType = root.lookupType('onnx.ModelProto');

/** The bytes of a .onnx file. */
export function encodeOnnx(graph: OnnxGraph, options: { readonly isTrained?: boolean } = {}): Uint8Array {
  const message = {
    ir_version: IR_VERSION,
    producer_name: 'fogproof',
    graph: toGraph(graph),
    opset_import: [{ domain: '', version: OPERATOR_SET }],
    ...(options.isTrained === true ? { training_info: [{ initialization: toGraph(graph) }] } : {}),
  };
  const problem = modelType.verify(message);
  if (problem !== null) throw new TypeError(problem);
  // A Buffer, whose `slice` copies nothing.
  return new Uint8Array(modelType.encode(modelType.create(message)).finish());
}

function toGraph({ nodes, weights = [], inputs, outputs }: OnnxGraph): object {
  return {
    name: 'graph',
    node: nodes.map(({ operator, inputs: input, outputs: output, attributes = [], domain = '' }) => ({
      op_type: operator,
      input,
      output,
      attribute: attributes.map(toAttribute),
      domain,
    })),
    initializer: weights.map(toTensor),
    input: inputs.map(toValue),
    output: outputs.map(toValue),
  };
}

function toAttribute(attribute: OnnxAttribute): object {
  const { name } = attribute;
  if ('int' in attribute) return { name, type: ATTRIBUTES.int, i: attribute.int };
  if ('float' in attribute) return { name, type: ATTRIBUTES.float, f: attribute.float };
  if ('tensor' in attribute) return { name, type: ATTRIBUTES.tensor, t: toTensor(attribute.tensor) };
  return { name, type: ATTRIBUTES.graph, g: toGraph(attribute.graph) };
}

function toValue({ name, type = 'float32', shape }: OnnxValue): object {
  const dim = shape.map((size) => (typeof size === 'string' ? { dim_param: size } : { dim_value: size }));
  return { name, type: { tensor_type: { elem_type: ELEMENTS[type], shape: { dim } } } };
}

function toTensor({ name, type = 'float32', shape, values = [], externalFile }: OnnxTensor): object {
  const head = { name, data_type: ELEMENTS[type], dims: shape };
  if (externalFile !== undefined) {
    return { ...head, data_location: 1, external_data: [{ key: 'location', value: externalFile }] };
  }
  return { ...head, raw_data: toBytes(type, values) };
}

function toBytes(type: ElementName, values: readonly number[]): Uint8Array {
  switch (type) {
    case 'float32':
      return new Uint8Array(Float32Array.from(values).buffer);
    case 'float64':
      return new Uint8Array(Float64Array.from(values).buffer);
    case 'int64':
      return new Uint8Array(BigInt64Array.from(values.map(BigInt)).buffer);
    case 'bool':
      return Uint8Array.from(values);
    case 'string':
      return new Uint8Array(0);
    default:
      return type satisfies never;
  }
}
