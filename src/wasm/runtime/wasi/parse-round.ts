/** Longest that is looked at: a number and white space after it. */
const MAX_BYTES = 64;
/** Up to 15 digits are a safe integer. */
const ROUND = /^([0-9]{1,15})[ \t\r\n]*$/;

/** The number of a training round as `/checkpoint/ROUND` holds it; null if it is none. */
export function parseRound(bytes: Uint8Array): number | null {
  if (bytes.length > MAX_BYTES) return null;
  const digits = ROUND.exec(Buffer.from(bytes).toString('latin1'))?.[1];
  return digits === undefined ? null : Number(digits);
}
