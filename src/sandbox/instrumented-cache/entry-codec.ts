import { hash } from 'node:crypto';
import { z } from 'zod';
import { concatBytes } from '../../lib/bytes.ts';
import type { InstrumentedModule } from '../../wasm/instrument/instrument.ts';
import {
  encodeContent,
  type InstrumentedDescription,
  joinDescription,
  splitContent,
} from '../protocol/instrumented-content.ts';

/** Begins every entry: what follows is SHA-256 of the content ‖ content. */
const MAGIC = new TextEncoder().encode('fogproof/instrumented@1\n');
const DIGEST_BYTES = 32;
const HEAD_BYTES = MAGIC.length + DIGEST_BYTES;
/** Longest description: a module with more imports and exports than this holds is made anew each time. */
export const MAX_DESCRIPTION_BYTES = 1024 * 1024;

const typeSchema = z.strictObject({ params: z.array(z.int()).readonly(), results: z.array(z.int()).readonly() });
const countSchema = z.int().nonnegative();
const descriptionSchema: z.ZodType<InstrumentedDescription> = z.strictObject({
  imports: z.array(z.strictObject({ module: z.string(), name: z.string(), typeIndex: countSchema, type: typeSchema })),
  exports: z.array(z.strictObject({ name: z.string(), kind: countSchema, index: countSchema })),
  functionExports: z.array(z.tuple([z.string(), typeSchema])),
  hasStart: z.boolean(),
  memory: z.strictObject({ minPages: countSchema, maxPages: countSchema }).nullable(),
  mutableGlobals: z.array(z.strictObject({ index: countSchema, type: countSchema })),
  inserted: z.strictObject({
    fuelCharges: countSchema,
    fuelChecks: countSchema,
    stackChecks: countSchema,
    canonicalNans: countSchema,
  }),
});

/** Null where the description is longer than an entry may have. */
export function encodeEntry(module: InstrumentedModule): Uint8Array | null {
  const content = encodeContent(module);
  const text = splitContent(content)?.text;
  if (text === undefined || text.length > MAX_DESCRIPTION_BYTES) return null;
  return concatBytes(MAGIC, hash('sha256', content, 'buffer'), content);
}

/** Null for an entry that is damaged. */
export function decodeEntry(entry: Uint8Array): InstrumentedModule | null {
  if (entry.length < HEAD_BYTES || !Buffer.from(MAGIC).equals(entry.subarray(0, MAGIC.length))) return null;
  const content = entry.subarray(HEAD_BYTES);
  const digest = entry.subarray(MAGIC.length, HEAD_BYTES);
  return hash('sha256', content, 'buffer').equals(digest) ? decodeContent(content) : null;
}

/** Null for content that nobody can have meant. */
export function decodeContent(content: Uint8Array): InstrumentedModule | null {
  const parts = splitContent(content);
  if (parts === null || parts.text.length > MAX_DESCRIPTION_BYTES) return null;
  const description = parseDescription(parts.text);
  return description === null ? null : joinDescription(description, new Uint8Array(parts.bytes));
}

function parseDescription(text: Uint8Array): InstrumentedDescription | null {
  try {
    return descriptionSchema.parse(JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(text)));
  } catch {
    return null;
  }
}
