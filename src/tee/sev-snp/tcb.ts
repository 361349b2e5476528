import type { Product } from './products.ts';

/** Security patch levels of the parts of a platform's firmware; each only counts up. */
export interface TcbVersion {
  /** Turin and later: the manufacturer's firmware. */
  readonly fmc?: number;
  readonly bootLoader: number;
  readonly tee: number;
  readonly snp: number;
  readonly microcode: number;
}

export type TcbPart = keyof TcbVersion;

/** Byte of each part in a TCB_VERSION, and number of its extension in a certificate (AMD 56860, tables 3 to 5). */
interface PartPlace {
  readonly part: TcbPart;
  readonly byte: number;
  readonly extension: number;
}

const BEFORE_TURIN: readonly PartPlace[] = [
  { part: 'bootLoader', byte: 0, extension: 1 },
  { part: 'tee', byte: 1, extension: 2 },
  { part: 'snp', byte: 6, extension: 3 },
  { part: 'microcode', byte: 7, extension: 8 },
];

const TURIN: readonly PartPlace[] = [
  { part: 'fmc', byte: 0, extension: 9 },
  { part: 'bootLoader', byte: 1, extension: 1 },
  { part: 'tee', byte: 2, extension: 2 },
  { part: 'snp', byte: 3, extension: 3 },
  { part: 'microcode', byte: 7, extension: 8 },
];

export const TCB_PLACES: Readonly<Record<Product, readonly PartPlace[]>> = {
  milan: BEFORE_TURIN,
  genoa: BEFORE_TURIN,
  turin: TURIN,
};

/** Undefined if a reserved byte is not zero. */
export function decodeTcb(product: Product, bytes: Uint8Array): TcbVersion | undefined {
  const places = TCB_PLACES[product];
  if (bytes.some((byte, index) => byte !== 0 && !places.some((place) => place.byte === index))) return undefined;
  return buildTcb(product, (place) => bytes[place.byte] ?? 0);
}

export function buildTcb(product: Product, read: (place: PartPlace) => number): TcbVersion {
  const values: Partial<Record<TcbPart, number>> = {};
  for (const place of TCB_PLACES[product]) values[place.part] = read(place);
  return { bootLoader: 0, tee: 0, snp: 0, microcode: 0, ...values };
}

/** Parts in which `tcb` is below `minimum`; a part that the minimum does not name is not compared. */
export function findPartsBelow(tcb: TcbVersion, minimum: Partial<TcbVersion>): readonly TcbPart[] {
  return listParts(minimum)
    .filter(([part, least]) => (tcb[part] ?? -1) < least)
    .map(([part]) => part);
}

export function areTcbsEqual(a: TcbVersion, b: TcbVersion): boolean {
  return formatTcb(a) === formatTcb(b);
}

/** `fmc 0, bootLoader 1, tee 0, snp 2, microcode 71`. */
export function formatTcb(tcb: Partial<TcbVersion>): string {
  return listParts(tcb)
    .map(([part, level]) => `${part} ${level}`)
    .join(', ');
}

const PARTS: readonly TcbPart[] = ['fmc', 'bootLoader', 'tee', 'snp', 'microcode'];

function listParts(tcb: Partial<TcbVersion>): readonly (readonly [TcbPart, number])[] {
  return PARTS.flatMap((part) => {
    const level = tcb[part];
    return level === undefined ? [] : [[part, level] as const];
  });
}
