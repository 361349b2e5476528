import { jobPathSchema } from '../../../domain/job.ts';
import { countElements, parseNpy, type Tensor } from '../../../lib/npy.ts';
import type { InputFile } from '../../interface.ts';
import { MAX_TENSOR_NAME_CHARS } from './constants.ts';

/** An array for one input of the model. */
export interface NamedTensor extends Tensor {
  /** Null: for the only input of the model. */
  readonly name: string | null;
  /** The file that it came in. */
  readonly file: Uint8Array;
}

/** What the model is called for once. */
export interface InferenceItem {
  readonly name: string;
  /** In ascending order of name. */
  readonly tensors: readonly NamedTensor[];
}

export type ItemPlan =
  | { readonly kind: 'planned'; readonly items: readonly InferenceItem[] }
  | { readonly kind: 'refused'; readonly detail: string };

const ITEM_PATH = /^\/input\/([^/]+)(?:\/([^/]+))?\.npy$/;

/**
 * The items of a job, in ascending order of name: `/input/ITEM.npy` for models with one input, `/input/ITEM/INPUT.npy` for any.
 * Characters of an input's name that a path cannot hold are written as in a URL (`%2F`).
 */
export function planItems(inputs: readonly InputFile[]): ItemPlan {
  const byItem = new Map<string, NamedTensor[]>();
  for (const { path, bytes } of inputs) {
    const match = ITEM_PATH.exec(path);
    if (match === null) return refused(path, 'expected /input/ITEM.npy or /input/ITEM/INPUT.npy');
    const [, item = '', encoded] = match;
    const name = encoded === undefined ? null : decodeName(encoded);
    if (name === undefined) return refused(path, 'the name of its input is malformed or too long');
    const parsed = parseNpy(bytes);
    if (parsed.kind === 'invalid') return refused(path, parsed.reason);
    const tensors = byItem.get(item) ?? [];
    const isTwice = tensors.some((other) => other.name === name || other.name === null || name === null);
    if (isTwice) return refused(path, 'this input of its item is there twice');
    tensors.push({ ...parsed.tensor, name, file: bytes });
    byItem.set(item, tensors);
  }
  if (byItem.size === 0) return { kind: 'refused', detail: 'there are no items under /input' };
  const items = [...byItem].map(([name, tensors]) => ({ name, tensors: tensors.toSorted(byName) }));
  return { kind: 'planned', items: items.toSorted(byName) };
}

/** The name that a path gives an input or output; undefined if it is malformed. */
function decodeName(encoded: string): string | undefined {
  try {
    const name = decodeURIComponent(encoded);
    return name.length <= MAX_TENSOR_NAME_CHARS ? name : undefined;
  } catch {
    return undefined;
  }
}

/** Where the array of an output goes. */
export function outputPath(item: string, output: string): string {
  const encoded = encodeURIComponent(output.toWellFormed()).replaceAll(
    /[!'()*~]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
  return `/output/${item}/${encoded}.npy`;
}

/** An output that has no path, since item and name together are too long; null if there is none. */
export function findLongPath({ name }: InferenceItem, outputs: readonly { readonly name: string }[]): string | null {
  return outputs.find((output) => !jobPathSchema.safeParse(outputPath(name, output.name)).success)?.name ?? null;
}

/** Rows of the first dimension that all arrays of an item have; null if there is no such number. */
export function countRows({ tensors }: InferenceItem): number | null {
  const [rows] = tensors[0]?.shape ?? [];
  if (rows === undefined || rows === 0) return null;
  return tensors.every(({ shape }) => shape[0] === rows) ? rows : null;
}

/** Equal of items that can be put together: names, types, and all dimensions but the first. */
export function signatureOf({ tensors }: InferenceItem): string {
  return JSON.stringify(tensors.map(({ name, type, shape }) => [name, type, shape.slice(1)]));
}

/** A model's own dimension: a number, or the name of one that may be anything. */
type Dimension = number | string;

export interface TensorSlot {
  readonly name: string;
  readonly type: string;
  readonly shape: readonly Dimension[];
}

/** An item with the names of the model's inputs, or why the model cannot take it. */
export function bindItem(item: InferenceItem, slots: readonly TensorSlot[]): InferenceItem | string {
  const [only] = slots;
  const [single] = item.tensors;
  if (single?.name === null) {
    if (slots.length !== 1 || only === undefined) {
      return `the model has ${slots.length} inputs (${nameAll(slots)}): give /input/ITEM/INPUT.npy for each`;
    }
    return bindItem({ ...item, tensors: [{ ...single, name: only.name }] }, slots);
  }
  const given = item.tensors.map(({ name }) => name);
  if (given.length !== slots.length || !slots.every(({ name }) => given.includes(name))) {
    return `it has ${given.join(', ')}, and the inputs of the model are ${nameAll(slots)}`;
  }
  for (const { name, type, shape } of item.tensors) {
    const slot = slots.find((other) => other.name === name);
    if (slot !== undefined && !fits(slot, type, shape)) {
      return `${name} is ${type} of (${shape.join(', ')}), and the model takes ${slot.type} of (${slot.shape.join(', ')})`;
    }
  }
  return item;
}

function fits(slot: TensorSlot, type: string, shape: readonly number[]): boolean {
  if (slot.type !== type || slot.shape.length !== shape.length) return false;
  return slot.shape.every((size, index) => typeof size === 'string' || size === shape[index]);
}

/** True if a model may be called with many rows at once: its inputs and outputs have a first dimension of one name. */
export function isBatchable(inputs: readonly TensorSlot[], outputs: readonly TensorSlot[]): boolean {
  const [first] = inputs[0]?.shape ?? [];
  if (typeof first !== 'string' || first === '') return false;
  return [...inputs, ...outputs].every(({ shape }) => shape[0] === first);
}

function nameAll(slots: readonly TensorSlot[]): string {
  return slots
    .map(({ name }) => name)
    .join(', ')
    .slice(0, 120);
}

function refused(path: string, reason: string): ItemPlan {
  return { kind: 'refused', detail: `${path.slice(0, 120)}: ${reason}`.slice(0, 300) };
}

function byName(a: { readonly name: string | null }, b: { readonly name: string | null }): number {
  return (a.name ?? '') < (b.name ?? '') ? -1 : 1;
}

/** Bytes of an array by its shape; what a child says of its outputs is held against it. */
export function countTensorBytes(shape: readonly number[], elementBytes: number): number {
  return countElements(shape) * elementBytes;
}
