/** The program of a child that runs models: it reads orders from descriptor 0 and writes replies to another one. */
import { writeSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { InferenceSession, OnnxValue, Tensor } from 'onnxruntime-common';
import { ANSWER_FD } from '../../../constants.ts';
import { RequestInput } from '../../wasm/child/request-input.ts';
import {
  type LoadOrder,
  ORDER,
  REPLY,
  type Reply,
  type RunOrder,
  type Slot,
  type WireTensor,
} from '../child-protocol.ts';
import { DATA_CHUNK_BYTES, MAX_MESSAGE_BYTES, MAX_TENSOR_NAME_CHARS } from '../constants.ts';
import { concatRows, readElements, splitRows, type TensorData, viewElements } from './tensor-data.ts';

type Runtime = Pick<typeof import('onnxruntime-common'), 'InferenceSession' | 'Tensor' | 'env'>;

const MAX_MESSAGE_CHARS = 1500;

class ModelLoop {
  readonly #input = new RequestInput();
  readonly #runtime: Runtime;
  readonly #sessions = new Map<number, InferenceSession>();

  constructor(runtime: Runtime) {
    this.#runtime = runtime;
  }

  async run(): Promise<void> {
    reply({ kind: 'ready', version: this.#runtime.env.versions.node ?? 'unknown' });
    for (let frame = this.#input.readFrame(); frame !== null; frame = this.#input.readFrame()) {
      const order: unknown = JSON.parse(new TextDecoder().decode(frame.subarray(1)));
      await this.#take(frame[0] ?? 0, order);
    }
  }

  // What the node sends is not doubted here.
  async #take(type: number, order: unknown): Promise<void> {
    switch (type) {
      case ORDER.load:
        return await this.#load(order as LoadOrder);
      case ORDER.drop:
        return await this.#drop((order as { readonly session: number }).session);
      case ORDER.run:
        return await this.#runOnce(order as RunOrder);
      default:
        throw new TypeError('unknown order');
    }
  }

  async #load({ session, sizeBytes, options }: LoadOrder): Promise<void> {
    const model = this.#input.read(sizeBytes);
    try {
      const loaded = await this.#runtime.InferenceSession.create(model, {
        executionProviders: ['cpu'],
        intraOpNumThreads: options.threads,
        interOpNumThreads: 1,
        executionMode: 'sequential',
        graphOptimizationLevel: options.optimization === 'none' ? 'disabled' : options.optimization,
        logSeverityLevel: 4,
        extra: {
          session: {
            // Idle threads would burn the time of others.
            intra_op: { allow_spinning: '0' },
            load_model_format: 'ONNX',
            use_deterministic_compute: options.deterministic ? '1' : '0',
          },
        },
      });
      this.#sessions.set(session, loaded);
      reply({ kind: 'loaded', inputs: loaded.inputMetadata.map(toSlot), outputs: loaded.outputMetadata.map(toSlot) });
    } catch (error) {
      fail('runtime', error);
    }
  }

  async #drop(session: number): Promise<void> {
    await this.#sessions.get(session)?.release();
    this.#sessions.delete(session);
  }

  async #runOnce({ session: id, items }: RunOrder): Promise<void> {
    const given = items.map(({ tensors }) => tensors.map((tensor) => this.#readTensor(tensor)));
    const session = this.#sessions.get(id);
    if (session === undefined) throw new TypeError('no such session');
    let outputs: readonly TensorData[];
    try {
      const feeds = (given.length === 1 ? given[0] : concatRows(given)) ?? [];
      const values = await session.run(Object.fromEntries(feeds.map((tensor) => [tensor.name, this.#toValue(tensor)])));
      outputs = session.outputNames.map((name) => toData(name, values[name]));
      for (const value of Object.values(values)) value.dispose();
    } catch (error) {
      return fail('runtime', error);
    }
    this.#answer(items, given, outputs);
  }

  #answer(items: RunOrder['items'], given: readonly (readonly TensorData[])[], outputs: readonly TensorData[]): void {
    const parts =
      items.length === 1
        ? [outputs]
        : splitRows(
            outputs,
            given.map(([first]) => first?.shape[0] ?? 0),
          );
    if (parts === null) return fail('rows', new TypeError('its outputs have other rows than its inputs'));
    for (const [item, tensors] of parts.entries()) {
      const sizeBytes = tensors.reduce((sum, { bytes }) => sum + bytes.length, 0);
      if (sizeBytes > (items[item]?.maxBytes ?? 0)) reply({ kind: 'too-large', item, sizeBytes });
      else {
        reply({ kind: 'item', item, outputs: tensors.map(({ name, type, shape }) => ({ name, type, shape })) });
        for (const { bytes } of tensors) writeData(bytes);
      }
    }
    reply({ kind: 'done' });
  }

  #readTensor(tensor: WireTensor): TensorData {
    return readElements(tensor, (length) => this.#input.read(length));
  }

  #toValue(tensor: TensorData): OnnxValue {
    const elements = viewElements(tensor);
    // The constructor has an overload for each type, and this is any of them.
    const TensorOf = this.#runtime.Tensor as unknown as new (
      type: string,
      data: object,
      shape: readonly number[],
    ) => Tensor;
    return new TensorOf(tensor.type, elements, tensor.shape);
  }
}

function toData(name: string, value: OnnxValue | undefined): TensorData {
  if (value === undefined || !ArrayBuffer.isView(value.data))
    throw new TypeError(`output ${name} is no array of numbers`);
  const { buffer, byteOffset, byteLength } = value.data;
  const bytes = new Uint8Array(buffer, byteOffset, byteLength);
  return { name, type: value.type as TensorData['type'], shape: [...value.dims], bytes };
}

function toSlot(metadata: InferenceSession.ValueMetadata): Slot {
  const name = metadata.name.slice(0, MAX_TENSOR_NAME_CHARS);
  if (!metadata.isTensor) return { name, type: 'none', shape: [] };
  const shape = metadata.shape.map((size) => (typeof size === 'string' ? size.slice(0, MAX_TENSOR_NAME_CHARS) : size));
  return { name, type: metadata.type, shape };
}

function fail(reason: 'runtime' | 'rows', error: unknown): void {
  const message = error instanceof Error ? error.message : String(error);
  reply({ kind: 'failed', reason, message: message.slice(0, MAX_MESSAGE_CHARS) });
}

function reply(message: Reply): void {
  const text = new TextEncoder().encode(JSON.stringify(message));
  if (text.length > MAX_MESSAGE_BYTES) throw new RangeError('a reply is too long');
  writeFrame(REPLY.message, text);
}

function writeData(bytes: Uint8Array): void {
  for (let start = 0; start < bytes.length; start += DATA_CHUNK_BYTES) {
    writeFrame(REPLY.data, bytes.subarray(start, start + DATA_CHUNK_BYTES));
  }
}

function writeFrame(type: number, body: Uint8Array): void {
  const frame = new Uint8Array(5 + body.length);
  new DataView(frame.buffer).setUint32(0, body.length + 1);
  frame[4] = type;
  frame.set(body, 5);
  for (let done = 0; done < frame.length; ) done += writeSync(ANSWER_FD, frame, done, frame.length - done);
}

const [, , runtimePath = ''] = process.argv;
await new ModelLoop(createRequire(import.meta.url)(runtimePath) as Runtime).run();
