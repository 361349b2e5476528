/**
 * One metric as it is hashed: u64 step ‖ u32 length of the name ‖ name in UTF-8 ‖ value as IEEE 754 binary64. All integers and
 * the value are big-endian; every NaN is 7ff8000000000000.
 */
export function encodeMetric(step: number, name: Uint8Array, value: number): Uint8Array {
  const bytes = new Uint8Array(20 + name.length);
  const data = new DataView(bytes.buffer);
  data.setBigUint64(0, BigInt(step));
  data.setUint32(8, name.length);
  bytes.set(name, 12);
  if (Number.isNaN(value)) data.setBigUint64(12 + name.length, 0x7ff8_0000_0000_0000n);
  else data.setFloat64(12 + name.length, value);
  return bytes;
}
