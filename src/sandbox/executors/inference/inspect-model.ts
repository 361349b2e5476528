/**
 * What a model may not have, found before native code sees it. Field numbers are those of onnx/onnx.proto3; what stands under
 * another number or wire type is nothing to ONNX Runtime either, and is passed over.
 */
import protobuf from 'protobufjs/minimal.js';
import { MAX_MODEL_DEPTH, MAX_MODEL_FIELDS } from './constants.ts';

const { Reader } = protobuf;
type ModelReader = protobuf.Reader;

/** protobuf.dev/programming-guides/encoding. */
const VARINT = 0;
const LENGTH_DELIMITED = 2;
/** Of a model in ONNX Runtime's own format, a flatbuffer: it has loaders and options of its own. */
const ORT_MAGIC = 'ORTM';
const ORT_MAGIC_OFFSET = 4;

type MessageName = 'model' | 'graph' | 'node' | 'attribute' | 'tensor' | 'sparse' | 'function';
type Rule = MessageName | { readonly refuse: string; readonly unless?: 'zero' } | 'required';

const EXTERNAL = { refuse: 'it keeps weights in files of their own: save it with its weights inside' } as const;

const RULES: Readonly<Record<MessageName, Readonly<Record<number, Rule>>>> = {
  model: { 7: 'graph', 8: 'required', 20: { refuse: 'it says how to train it' }, 25: 'function' },
  graph: { 1: 'node', 5: 'tensor', 15: 'sparse' },
  node: { 5: 'attribute' },
  attribute: { 5: 'tensor', 6: 'graph', 10: 'tensor', 11: 'graph', 22: 'sparse', 23: 'sparse' },
  tensor: { 13: EXTERNAL, 14: { ...EXTERNAL, unless: 'zero' } },
  sparse: { 1: 'tensor', 2: 'tensor' },
  function: { 7: 'node', 11: 'attribute' },
};

class Refusal extends Error {}

/** Why a model is refused; null if nothing is found. Time grows with the number of its fields alone, not with its weights. */
export function inspectModel(bytes: Uint8Array): string | null {
  if (Buffer.from(bytes.subarray(ORT_MAGIC_OFFSET, 8)).toString('latin1') === ORT_MAGIC) {
    return "it is in ONNX Runtime's own format: give the .onnx file that it was made of";
  }
  const inspection = new Inspection();
  try {
    inspection.walk(Reader.create(bytes), bytes.length, 'model', 0);
  } catch (error) {
    // The reader throws plain errors for what ends early or has an unknown wire type.
    return error instanceof Refusal ? error.message : 'it is no ONNX model';
  }
  return inspection.hasGraph && inspection.hasOperators ? null : 'it is no ONNX model';
}

class Inspection {
  hasGraph = false;
  hasOperators = false;
  #fields = 0;

  walk(reader: ModelReader, end: number, name: MessageName, depth: number): void {
    if (depth > MAX_MODEL_DEPTH) throw new Refusal('its graphs lie too deep in one another');
    while (reader.pos < end) {
      this.#fields += 1;
      if (this.#fields > MAX_MODEL_FIELDS) throw new Refusal(`it has more than ${MAX_MODEL_FIELDS} fields`);
      const tag = reader.uint32();
      this.#takeField(reader, { name, depth, field: tag >>> 3, wireType: tag & 7 });
      if (reader.pos > end) throw new Refusal('it is no ONNX model');
    }
  }

  #takeField(
    reader: ModelReader,
    place: { readonly name: MessageName; readonly depth: number; readonly field: number; readonly wireType: number },
  ): void {
    const { name, depth, field, wireType } = place;
    const rule = RULES[name][field];
    if (rule === undefined) return void reader.skipType(wireType);
    if (typeof rule === 'object') {
      if (rule.unless === undefined || wireType !== VARINT || reader.uint32() !== 0) throw new Refusal(rule.refuse);
      return;
    }
    if (wireType !== LENGTH_DELIMITED) return void reader.skipType(wireType);
    const length = reader.uint32();
    const end = reader.pos + length;
    if (end > reader.len) throw new Refusal('it is no ONNX model');
    if (rule === 'required') {
      this.hasOperators = true;
      reader.pos = end;
      return;
    }
    if (name === 'model' && rule === 'graph') this.hasGraph = true;
    this.walk(reader, end, rule, depth + 1);
    if (reader.pos !== end) throw new Refusal('it is no ONNX model');
  }
}
