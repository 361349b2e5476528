/**
 * Between the node and a child that runs models. An order is a frame (u32 length, u8 type, JSON) with the bytes that it names
 * after it; a reply is a frame with JSON, or one with bytes of the outputs that the reply before it names.
 */
import type { TensorType } from '../../../lib/npy.ts';

export const ORDER = { load: 1, drop: 2, run: 3 } as const;
export const REPLY = { message: 1, data: 2 } as const;

export interface SessionOptions {
  readonly threads: number;
  readonly optimization: 'none' | 'basic' | 'extended' | 'all';
  readonly deterministic: boolean;
}

export interface LoadOrder {
  readonly session: number;
  readonly sizeBytes: number;
  readonly options: SessionOptions;
}

export interface WireTensor {
  readonly name: string;
  readonly type: TensorType;
  readonly shape: readonly number[];
}

/** One call of the model. Of several items each gives rows of the first dimension, in order. */
export interface RunOrder {
  readonly session: number;
  readonly items: readonly { readonly tensors: readonly WireTensor[]; readonly maxBytes: number }[];
}

export type Reply =
  | { readonly kind: 'ready'; readonly version: string }
  | { readonly kind: 'loaded'; readonly inputs: readonly Slot[]; readonly outputs: readonly Slot[] }
  /** The runtime refused the model, or failed in it. `rows`: its outputs are not one row for each row of the inputs. */
  | { readonly kind: 'failed'; readonly reason: 'runtime' | 'rows'; readonly message: string }
  | { readonly kind: 'item'; readonly item: number; readonly outputs: readonly WireTensor[] }
  | { readonly kind: 'too-large'; readonly item: number; readonly sizeBytes: number }
  | { readonly kind: 'done' };

export interface Slot {
  readonly name: string;
  readonly type: string;
  readonly shape: readonly (number | string)[];
}
