import { computeCrcWithKind, isMaskedCrc } from './masked-crc.ts';

/** doc/log_format.md of LevelDB. */
const BLOCK_BYTES = 32 * 1024;
const HEADER_BYTES = 7;
const KINDS = { zero: 0, full: 1, first: 2, middle: 3, last: 4 } as const;

export interface DamagedPart {
  readonly offset: number;
  readonly sizeBytes: number;
  /** Nothing whole is behind it: it may be what was being written when the machine stopped. */
  readonly isTail: boolean;
}

export interface LogContent {
  readonly records: readonly Uint8Array[];
  readonly damaged: readonly DamagedPart[];
}

interface Piece {
  readonly kind: number;
  readonly bytes: Uint8Array;
}

/**
 * The records of a log or a manifest, each checked. Behind a piece that is not whole reading goes on at the next block,
 * as LevelDB does: inside a block what looks like a piece may be somebody's value.
 */
export function readLogFile(file: Uint8Array): LogContent {
  const records: Uint8Array[] = [];
  const damaged: { offset: number; sizeBytes: number; isTail: boolean }[] = [];
  const lose = (offset: number, end: number): void => {
    const last = damaged.at(-1);
    if (last?.isTail === true && last.offset + last.sizeBytes === offset) last.sizeBytes += end - offset;
    else damaged.push({ offset, sizeBytes: end - offset, isTail: true });
  };
  let open: { readonly offset: number; readonly parts: Uint8Array[] } | undefined;
  let offset = 0;
  while (offset < file.length) {
    const blockEnd = Math.min(file.length, offset - (offset % BLOCK_BYTES) + BLOCK_BYTES);
    const piece = readPiece(file, offset, blockEnd);
    if (piece === 'filler') {
      offset = blockEnd;
      continue;
    }
    if (piece === undefined) {
      lose(open?.offset ?? offset, blockEnd);
      const part = damaged.at(-1);
      if (part !== undefined && isFollowed(file, offset, blockEnd)) part.isTail = false;
      open = undefined;
      offset = blockEnd;
      continue;
    }
    const begins = piece.kind === KINDS.full || piece.kind === KINDS.first;
    if (begins && open !== undefined) lose(open.offset, offset);
    // The rest of a record whose beginning was lost.
    if (!begins && open === undefined) lose(offset, offset + HEADER_BYTES + piece.bytes.length);
    if (begins) open = { offset, parts: [] };
    open?.parts.push(piece.bytes);
    offset += HEADER_BYTES + piece.bytes.length;
    if (open === undefined || piece.kind === KINDS.first || piece.kind === KINDS.middle) continue;
    records.push(joinParts(open.parts));
    open = undefined;
    for (const part of damaged) part.isTail = false;
  }
  if (open !== undefined) lose(open.offset, file.length);
  return { records, damaged };
}

/** `filler`: zeros to the end of the block. Undefined: not whole. */
function readPiece(file: Uint8Array, offset: number, blockEnd: number): Piece | 'filler' | undefined {
  const left = blockEnd - offset;
  if (left < HEADER_BYTES) return isZero(file, offset, blockEnd) ? 'filler' : undefined;
  const view = new DataView(file.buffer, file.byteOffset + offset, HEADER_BYTES);
  const length = view.getUint16(4, true);
  const kind = view.getUint8(6);
  if (kind === KINDS.zero) return isZero(file, offset, blockEnd) ? 'filler' : undefined;
  if (kind > KINDS.last || HEADER_BYTES + length > left) return undefined;
  const bytes = file.subarray(offset + HEADER_BYTES, offset + HEADER_BYTES + length);
  const crc = computeCrcWithKind(bytes, { value: kind, isFirst: true });
  return isMaskedCrc(view.getUint32(0, true), crc) ? { kind, bytes } : undefined;
}

/** Whether a whole piece is where this one says that it ends: then it was whole itself once. */
function isFollowed(file: Uint8Array, offset: number, blockEnd: number): boolean {
  if (offset + HEADER_BYTES > blockEnd) return false;
  const length = new DataView(file.buffer, file.byteOffset + offset + 4, 2).getUint16(0, true);
  const next = offset + HEADER_BYTES + length;
  if (next >= blockEnd) return false;
  const piece = readPiece(file, next, blockEnd);
  return piece !== undefined && piece !== 'filler';
}

function isZero(file: Uint8Array, from: number, to: number): boolean {
  for (let index = from; index < to; index += 1) if (file[index] !== 0) return false;
  return true;
}

function joinParts(parts: readonly Uint8Array[]): Uint8Array {
  const [only] = parts;
  if (parts.length === 1 && only !== undefined) return only;
  const joined = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let filled = 0;
  for (const part of parts) {
    joined.set(part, filled);
    filled += part.length;
  }
  return joined;
}
