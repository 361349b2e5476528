/** JavaScript's JSON with unsigned 64-bit integers written whole: clients of any language read them. */
interface RawJson {
  readonly rawJSON: (text: string) => object;
}

// In V8 since Node 21; TypeScript's library does not know it yet.
const { rawJSON } = JSON as unknown as RawJson;

export function stringifyJson(value: unknown): string {
  return JSON.stringify(value, (_, field: unknown) => (typeof field === 'bigint' ? rawJSON(String(field)) : field));
}
