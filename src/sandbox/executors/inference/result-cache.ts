import { hash } from 'node:crypto';
import type { PeerKey } from '../../../domain/ids.ts';
import type { InferenceWorkload } from '../../../domain/inference-workload.ts';
import type { Clock } from '../../../lib/clock.ts';
import { IdleCache } from '../../../lib/idle-cache.ts';
import type { InputFile } from '../../interface.ts';
import { CACHE_ENTRY_BYTES, CACHE_ENTRY_SHARE } from './constants.ts';
import { hashBytes } from './hash-bytes.ts';
import type { InferenceItem } from './plan-items.ts';

/** What an item was answered with: the name of each output, and its array as a file. */
export interface ItemAnswer {
  readonly outputs: readonly { readonly name: string; readonly file: Uint8Array }[];
}

export interface CacheSubject {
  readonly requester: PeerKey;
  /** Names version and processor of what computed it. */
  readonly engine: string;
  /** SHA-256 of the model, hex. */
  readonly modelDigest: string;
  readonly workload: InferenceWorkload;
}

/**
 * The key under which an item's answer is kept. Requesters are apart: what one has had computed tells no other one anything,
 * not even by how fast an answer comes. Every option that may change a bit is in it.
 */
export async function computeItemKey(subject: CacheSubject, { tensors }: InferenceItem): Promise<string> {
  const { requester, engine, modelDigest, workload } = subject;
  const { provider, threads, optimization, deterministic, batchRows } = workload;
  const options = [provider, threads, optimization, deterministic, batchRows];
  const inputs: [string | null, string][] = [];
  for (const { name, file } of tensors) inputs.push([name, await hashBytes(file)]);
  const text = JSON.stringify(['fogproof/inference-cache@1', requester, engine, modelDigest, options, inputs]);
  return hash('sha256', text, 'hex');
}

/** Answers of this node's own runs, in its memory alone: they are gone when it ends, and no other node is asked for any. */
export class ResultCache implements Disposable {
  readonly #answers: IdleCache<string, ItemAnswer>;

  constructor(modules: { readonly clock: Clock }, options: { readonly maxBytes: number; readonly idleMs: number }) {
    const { maxBytes, idleMs } = options;
    const maxEntryBytes = Math.max(1, Math.floor(maxBytes * CACHE_ENTRY_SHARE));
    this.#answers = new IdleCache(modules, { maxBytes, maxEntryBytes, idleMs, sizeOf });
  }

  get(key: string): ItemAnswer | undefined {
    return this.#answers.get(key);
  }

  set(key: string, answer: ItemAnswer): void {
    this.#answers.set(key, answer);
  }

  get size(): number {
    return this.#answers.size;
  }

  [Symbol.dispose](): void {
    this.#answers[Symbol.dispose]();
  }
}

function sizeOf({ outputs }: ItemAnswer): number {
  return outputs.reduce((sum, { file, name }) => sum + file.length + name.length, CACHE_ENTRY_BYTES);
}

/** The files of an answer. */
export function listFiles(answer: ItemAnswer, pathOf: (output: string) => string): readonly InputFile[] {
  return answer.outputs.map(({ name, file }) => ({ path: pathOf(name), bytes: file }));
}
