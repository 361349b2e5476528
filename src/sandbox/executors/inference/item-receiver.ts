import { encodeNpy, TENSOR_TYPES } from '../../../lib/npy.ts';
import { SandboxError } from '../../errors.ts';
import type { Reply, WireTensor } from './child-protocol.ts';
import type { ReplyReceiver } from './model-child.ts';
import { countTensorBytes, type TensorSlot } from './plan-items.ts';
import type { ItemAnswer } from './result-cache.ts';

export type ItemEnd =
  | { readonly kind: 'answered'; readonly answer: ItemAnswer }
  | { readonly kind: 'too-large'; readonly sizeBytes: number };

/** What was expected of an item's outputs: most bytes, and rows where it was one of several in a call. */
export interface ItemLimit {
  readonly maxBytes: number;
  readonly rows: number | null;
}

/**
 * Puts together what a child gives for the items of one call: each once, in order, no more than its limit, with the outputs
 * that the model said it has.
 */
export class ItemReceiver implements ReplyReceiver {
  readonly ends: ItemEnd[] = [];
  failure: Extract<Reply, { readonly kind: 'failed' }> | null = null;
  readonly #limits: readonly ItemLimit[];
  readonly #outputs: readonly TensorSlot[];
  #current: { readonly tensors: readonly WireTensor[]; readonly bodies: Uint8Array[]; filled: number } | null = null;

  constructor(limits: readonly ItemLimit[], outputs: readonly TensorSlot[]) {
    this.#limits = limits;
    this.#outputs = outputs;
  }

  message(reply: Reply): boolean {
    if (this.#current !== null) throw protocolError('an output is not whole');
    switch (reply.kind) {
      case 'failed':
        if (this.ends.length > 0) throw protocolError('a failure after answers');
        this.failure = reply;
        return true;
      case 'item':
        this.#open(reply);
        return false;
      case 'too-large':
        this.#assertNext(reply.item);
        this.ends.push({ kind: 'too-large', sizeBytes: reply.sizeBytes });
        return false;
      case 'done':
        if (this.ends.length !== this.#limits.length) throw protocolError('items are missing');
        return true;
      default:
        throw protocolError('a reply to another order');
    }
  }

  data(bytes: Uint8Array): boolean {
    const current = this.#current;
    if (current === null) throw protocolError('bytes of no output');
    const open = findOpen(current.bodies, current.filled);
    const body = current.bodies[open?.index ?? -1];
    if (body === undefined || open === undefined || bytes.length === 0 || bytes.length > open.left) {
      throw protocolError('more bytes than an output has');
    }
    body.set(bytes, body.length - open.left);
    current.filled += bytes.length;
    this.#closeIfWhole();
    return false;
  }

  #assertNext(item: number): ItemLimit {
    const limit = this.#limits[item];
    if (item !== this.ends.length || limit === undefined) throw protocolError('an item out of order');
    return limit;
  }

  #open({ item, outputs }: Extract<Reply, { readonly kind: 'item' }>): void {
    const { maxBytes, rows } = this.#assertNext(item);
    const isAsSaid =
      outputs.length === this.#outputs.length &&
      outputs.every(
        ({ name, type }, index) => name === this.#outputs[index]?.name && type === this.#outputs[index]?.type,
      );
    if (!isAsSaid) throw protocolError('other outputs than the model has');
    if (rows !== null && outputs.some(({ shape }) => shape[0] !== rows)) throw protocolError('rows of another item');
    const sizes = outputs.map(({ type, shape }) => countTensorBytes(shape, TENSOR_TYPES[type].bytes));
    if (sizes.reduce((sum, size) => sum + size, 0) > maxBytes) throw protocolError('an item is too large');
    this.#current = { tensors: outputs, bodies: sizes.map((size) => new Uint8Array(size)), filled: 0 };
    this.#closeIfWhole();
  }

  #closeIfWhole(): void {
    const current = this.#current;
    if (current === null || findOpen(current.bodies, current.filled) !== undefined) return;
    const outputs = current.tensors.map((tensor, index) => {
      const bytes = current.bodies[index] ?? new Uint8Array(0);
      return { name: tensor.name, file: encodeNpy({ type: tensor.type, shape: tensor.shape, bytes }) };
    });
    this.ends.push({ kind: 'answered', answer: { outputs } });
    this.#current = null;
  }
}

/** The first array that is not whole, and what it lacks. */
function findOpen(
  bodies: readonly Uint8Array[],
  filled: number,
): { readonly index: number; readonly left: number } | undefined {
  let before = 0;
  for (const [index, body] of bodies.entries()) {
    if (filled < before + body.length) return { index, left: before + body.length - filled };
    before += body.length;
  }
  return undefined;
}

function protocolError(reason: string): SandboxError {
  return new SandboxError({ code: 'SANDBOX_PROTOCOL', reason });
}
