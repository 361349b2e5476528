/** POSIX ustar (IEEE Std 1003.1, pax, "ustar Interchange Format"): regular files alone, as `tar` reads them too. */
export const TAR_BLOCK_BYTES = 512;

const FIELDS = {
  name: [0, 100],
  mode: [100, 8],
  uid: [108, 8],
  gid: [116, 8],
  size: [124, 12],
  mtime: [136, 12],
  checksum: [148, 8],
  kind: [156, 1],
  magic: [257, 8],
} as const;
const MAGIC = 'ustar\u000000';
const REGULAR_FILE = '0'.charCodeAt(0);
/** Eleven octal digits; larger sizes are written in base 256, as GNU tar does. */
const MAX_OCTAL_SIZE = 8 ** 11 - 1;
const BASE_256 = 0x80;
/** Neither empty nor `.` nor `..` parts, no backslashes, nothing absolute: what this program writes. */
const SAFE_NAME = /^(?!.*(?:^|\/)\.{1,2}(?:\/|$))[A-Za-z0-9._+-]+(?:\/[A-Za-z0-9._+-]+)*$/;

export interface TarEntry {
  readonly name: string;
  readonly sizeBytes: number;
}

export function isSafeName(name: string): boolean {
  return Buffer.byteLength(name) <= FIELDS.name[1] && SAFE_NAME.test(name);
}

export function encodeTarHeader({ name, sizeBytes }: TarEntry, mtimeMs: number): Uint8Array {
  const header = Buffer.alloc(TAR_BLOCK_BYTES);
  const write = (field: keyof typeof FIELDS, text: string): void => void header.write(text, FIELDS[field][0], 'latin1');
  write('name', name);
  write('mode', '0000600\0');
  write('uid', '0000000\0');
  write('gid', '0000000\0');
  if (sizeBytes <= MAX_OCTAL_SIZE) write('size', `${sizeBytes.toString(8).padStart(11, '0')}\0`);
  else {
    header[FIELDS.size[0]] = BASE_256;
    header.writeBigUInt64BE(BigInt(sizeBytes), FIELDS.size[0] + 4);
  }
  write(
    'mtime',
    `${Math.trunc(mtimeMs / 1000)
      .toString(8)
      .padStart(11, '0')}\0`,
  );
  header[FIELDS.kind[0]] = REGULAR_FILE;
  write('magic', MAGIC);
  write('checksum', formatChecksum(header));
  return new Uint8Array(header);
}

/** `end`: two such blocks end an archive. Undefined for anything that `encodeTarHeader` does not write: no links, no devices. */
export function decodeTarHeader(block: Uint8Array): TarEntry | 'end' | undefined {
  const header = Buffer.from(block.buffer, block.byteOffset, block.byteLength);
  if (header.every((byte) => byte === 0)) return 'end';
  const read = (field: keyof typeof FIELDS): string => {
    const [start, length] = FIELDS[field];
    return header.toString('latin1', start, start + length);
  };
  if (read('checksum') !== formatChecksum(header) || read('magic') !== MAGIC) return undefined;
  const name = read('name').replace(/\0+$/, '');
  const sizeBytes = readSize(header);
  if (header[FIELDS.kind[0]] !== REGULAR_FILE || !isSafeName(name) || !Number.isSafeInteger(sizeBytes))
    return undefined;
  return { name, sizeBytes };
}

function readSize(header: Buffer): number {
  const [start, length] = FIELDS.size;
  if (header[start] === BASE_256) return Number(header.readBigUInt64BE(start + 4));
  const text = header.toString('latin1', start, start + length);
  return /^[0-7]{11}\0$/.test(text) ? Number.parseInt(text, 8) : Number.NaN;
}

/** The sum of all bytes, those of the checksum itself taken for spaces. */
function formatChecksum(header: Uint8Array): string {
  const [start, length] = FIELDS.checksum;
  let sum = 0;
  for (let index = 0; index < header.length; index += 1) {
    sum += index >= start && index < start + length ? 0x20 : (header[index] as number);
  }
  return `${sum.toString(8).padStart(6, '0')}\0 `;
}
