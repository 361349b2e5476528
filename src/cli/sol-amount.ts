const LAMPORTS_PER_SOL = 1_000_000_000n;
const DECIMALS = 9;
const SOL_PATTERN = /^(\d{1,10})(?:\.(\d{1,9}))?$/;

/** Exact, without trailing zeros: `1.999955 SOL`. */
export function formatSol(lamports: bigint): string {
  const fraction = (lamports % LAMPORTS_PER_SOL).toString().padStart(DECIMALS, '0').replace(/0+$/, '');
  return `${lamports / LAMPORTS_PER_SOL}${fraction === '' ? '' : `.${fraction}`} SOL`;
}

/** Lamports; undefined for what is no amount of SOL, or has parts below a lamport. */
export function parseSol(text: string): bigint | undefined {
  const [, whole, fraction = ''] = SOL_PATTERN.exec(text.trim()) ?? [];
  if (whole === undefined) return undefined;
  return BigInt(whole) * LAMPORTS_PER_SOL + BigInt(fraction.padEnd(DECIMALS, '0'));
}
