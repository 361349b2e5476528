import { hash } from 'node:crypto';
import { z } from 'zod';
import { concatBytes } from '../../lib/bytes.ts';
import type { FunctionType } from '../../wasm/binary/types.ts';
import type { InstrumentedModule } from '../../wasm/instrument/instrument.ts';

/** Begins every entry: what follows is SHA-256 of the rest ‖ u32 length of the description ‖ description ‖ module. */
const MAGIC = new TextEncoder().encode('fogproof/instrumented@1\n');
const DIGEST_BYTES = 32;
const HEAD_BYTES = MAGIC.length + DIGEST_BYTES + 4;
/** Longest description: a module with more imports and exports than this holds is made anew each time. */
export const MAX_DESCRIPTION_BYTES = 4 * 1024 * 1024;

const typeSchema = z.strictObject({ params: z.array(z.int()).readonly(), results: z.array(z.int()).readonly() });
const countSchema = z.int().nonnegative();
/** JSON has the map of functions as a list. */
interface Description extends Omit<InstrumentedModule, 'bytes' | 'functionExports'> {
  readonly functionExports: readonly (readonly [string, FunctionType])[];
}

const descriptionSchema: z.ZodType<Description> = z.strictObject({
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
export function encodeEntry({ bytes, functionExports, ...rest }: InstrumentedModule): Uint8Array | null {
  const description: Description = { ...rest, functionExports: [...functionExports] };
  const text = new TextEncoder().encode(JSON.stringify(description));
  if (text.length > MAX_DESCRIPTION_BYTES) return null;
  const length = new Uint8Array(4);
  new DataView(length.buffer).setUint32(0, text.length);
  const content = concatBytes(length, text, bytes);
  return concatBytes(MAGIC, hash('sha256', content, 'buffer'), content);
}

/** Null for an entry that is damaged. */
export function decodeEntry(entry: Uint8Array): InstrumentedModule | null {
  if (entry.length < HEAD_BYTES || !Buffer.from(MAGIC).equals(entry.subarray(0, MAGIC.length))) return null;
  const content = entry.subarray(MAGIC.length + DIGEST_BYTES);
  if (!hash('sha256', content, 'buffer').equals(entry.subarray(MAGIC.length, MAGIC.length + DIGEST_BYTES))) return null;
  const length = new DataView(content.buffer, content.byteOffset).getUint32(0);
  if (length > MAX_DESCRIPTION_BYTES || length > content.length - 4) return null;
  const description = parseDescription(content.subarray(4, 4 + length));
  if (description === null) return null;
  const { functionExports, ...rest } = description;
  return { ...rest, functionExports: new Map(functionExports), bytes: new Uint8Array(content.subarray(4 + length)) };
}

function parseDescription(text: Uint8Array): Description | null {
  try {
    return descriptionSchema.parse(JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(text)));
  } catch {
    return null;
  }
}
