export const REGIONS = ['washington', 'dallas', 'frankfurt', 'tokyo', 'sydney', 'sao-paulo'] as const;
export type Region = (typeof REGIONS)[number];

/**
 * Round trips between regions, ms: IBM Cloud documentation, "VPC network latency", averages of 17 August to
 * 15 September 2024 (the larger of the two directions). Within a region: its table between zones, 2 ms.
 */
const ROUND_TRIPS: Readonly<Record<Region, readonly number[]>> = {
  washington: [2, 32, 91, 166, 214, 118],
  dallas: [32, 2, 123, 143, 185, 146],
  frankfurt: [91, 123, 2, 228, 250, 198],
  tokyo: [166, 143, 228, 2, 115, 285],
  sydney: [214, 185, 250, 115, 2, 328],
  'sao-paulo': [118, 146, 198, 285, 328, 2],
};

/** Between the backbones of two regions, ms. */
export function findRoundTripMs(from: Region, to: Region): number {
  return ROUND_TRIPS[from][REGIONS.indexOf(to)] ?? 0;
}
