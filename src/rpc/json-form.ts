/**
 * A value as JSON holds it: bytes as base64, integers beyond its numbers as decimal strings, everything else as it is.
 * What a client of the control socket is given.
 */
export type JsonForm<Value> = Value extends bigint | Uint8Array
  ? string
  : Value extends string | number | boolean | null | undefined
    ? Value
    : Value extends object
      ? { [Key in keyof Value]: JsonForm<Value[Key]> }
      : Value;

/** Of plain data: objects, arrays and what they hold. */
export function toJsonForm<Value>(value: Value): JsonForm<Value> {
  // The type says case by case what the function does; TypeScript cannot follow a conditional type into its branches.
  return convert(value) as JsonForm<Value>;
}

function convert(value: unknown): unknown {
  if (typeof value === 'bigint') return value.toString();
  if (typeof value !== 'object' || value === null) return value;
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64');
  if (Array.isArray(value)) return value.map(convert);
  return Object.fromEntries(Object.entries(value).map(([key, child]) => [key, convert(child)]));
}
