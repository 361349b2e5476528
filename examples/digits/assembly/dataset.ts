export const PIXELS: i32 = 64;
export const CLASSES: i32 = 10;
const LARGEST_PIXEL: i32 = 16;

/** Rows of 64 pixels (scaled to 0..1) and their labels. */
export class Dataset {
  constructor(
    readonly rows: i32,
    readonly pixels: StaticArray<f64>,
    readonly labels: StaticArray<u8>,
  ) {}
}

/** CSV without a head: 64 integers of 0..16 and a label of 0..9 a line. Null if anything else is in it. */
export function parseDataset(bytes: Uint8Array): Dataset | null {
  const rows = countLines(bytes);
  if (rows == 0) return null;
  const pixels = new StaticArray<f64>(rows * PIXELS);
  const labels = new StaticArray<u8>(rows);
  let at = 0;
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column <= PIXELS; column++) {
      let value = 0;
      let digits = 0;
      while (at < bytes.length && bytes[at] >= 0x30 && bytes[at] <= 0x39 && digits < 3) {
        value = value * 10 + <i32>(bytes[at] - 0x30);
        digits++;
        at++;
      }
      const isLast = column == PIXELS;
      if (digits == 0 || value > (isLast ? CLASSES - 1 : LARGEST_PIXEL)) return null;
      if (at >= bytes.length || bytes[at] != (isLast ? 0x0a : 0x2c)) return null;
      at++;
      if (isLast) labels[row] = <u8>value;
      else pixels[row * PIXELS + column] = <f64>value / <f64>LARGEST_PIXEL;
    }
  }
  return at == bytes.length ? new Dataset(rows, pixels, labels) : null;
}

function countLines(bytes: Uint8Array): i32 {
  let lines = 0;
  for (let i = 0; i < bytes.length; i++) if (bytes[i] == 0x0a) lines++;
  return lines;
}
