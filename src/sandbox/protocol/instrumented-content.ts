/**
 * An instrumented module with its description, as bytes: u32 length of the description ‖ description (JSON) ‖ module. A
 * child writes it for its parent, who reads it with the schema of instrumented-cache/entry-codec.ts; a child reads what
 * its parent has checked.
 */
import type { FunctionType } from '../../wasm/binary/types.ts';
import type { InstrumentedModule } from '../../wasm/instrument/instrument.ts';

/** JSON has the map of functions as a list. */
export interface InstrumentedDescription extends Omit<InstrumentedModule, 'bytes' | 'functionExports'> {
  readonly functionExports: readonly (readonly [string, FunctionType])[];
}

const LENGTH_BYTES = 4;

export function encodeContent({ bytes, functionExports, ...rest }: InstrumentedModule): Uint8Array {
  const description: InstrumentedDescription = { ...rest, functionExports: [...functionExports] };
  const text = new TextEncoder().encode(JSON.stringify(description));
  const content = new Uint8Array(LENGTH_BYTES + text.length + bytes.length);
  new DataView(content.buffer).setUint32(0, text.length);
  content.set(text, LENGTH_BYTES);
  content.set(bytes, LENGTH_BYTES + text.length);
  return content;
}

/** Description and module as they stand in the content; null where it is too short for what it says. */
export function splitContent(content: Uint8Array): { readonly text: Uint8Array; readonly bytes: Uint8Array } | null {
  if (content.length < LENGTH_BYTES) return null;
  const end = LENGTH_BYTES + new DataView(content.buffer, content.byteOffset).getUint32(0);
  if (end > content.length) return null;
  return { text: content.subarray(LENGTH_BYTES, end), bytes: content.subarray(end) };
}

export function joinDescription(description: InstrumentedDescription, bytes: Uint8Array): InstrumentedModule {
  const { functionExports, ...rest } = description;
  return { ...rest, functionExports: new Map(functionExports), bytes };
}

/** Of content that the reader trusts: a child its parent. */
export function readTrustedContent(content: Uint8Array): InstrumentedModule | null {
  const parts = splitContent(content);
  if (parts === null) return null;
  // The parent has parsed this description with its schema.
  const description = JSON.parse(new TextDecoder().decode(parts.text)) as InstrumentedDescription;
  return joinDescription(description, new Uint8Array(parts.bytes));
}
