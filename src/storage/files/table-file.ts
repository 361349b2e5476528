import { ByteCursor } from './byte-cursor.ts';
import { computeCrcWithKind, isMaskedCrc } from './masked-crc.ts';
import { unpackSnappy } from './snappy.ts';
import { decodeKey, type StoredChange } from './stored-change.ts';

/** doc/table_format.md of LevelDB. */
const FOOTER_BYTES = 48;
const MAGIC = 0xdb4775248b80fb57n;
const TRAILER_BYTES = 5;
const KEY_SUFFIX_BYTES = 8;

/** A block that cannot be read; what it held lies between two keys. */
export interface DamagedBlock {
  readonly offset: number;
  readonly after: string | null;
  readonly upTo: string | null;
}

export interface TableContent {
  /** Null if all blocks can be found; else why none can. */
  readonly unreadable: string | null;
  readonly damaged: readonly DamagedBlock[];
}

interface Handle {
  readonly offset: number;
  readonly sizeBytes: number;
}

/** Checks every block of a table and gives its changes to `take`; without `take` blocks are not unpacked. */
export function readTableFile(file: Uint8Array, take?: (change: StoredChange) => void): TableContent {
  const footer = readFooter(file);
  if (footer === undefined) return { unreadable: 'its footer is not whole', damaged: [] };
  const index = readBlock(file, footer.index);
  const blocks = index === undefined ? undefined : readEntries(index);
  if (blocks === undefined) return { unreadable: 'its index is not whole', damaged: [] };
  const damaged: DamagedBlock[] = [];
  // What it holds is of no use to a program without filters, but a damaged file is one that will not be trusted.
  if (!isBlockWhole(file, footer.metaIndex)) damaged.push({ offset: footer.metaIndex.offset, after: null, upTo: null });
  let after: string | null = null;
  for (const { key: separator, value } of blocks) {
    const upTo = decodeKey(separator.subarray(0, -KEY_SUFFIX_BYTES)) ?? null;
    const handle = decodeHandle(new ByteCursor(value));
    const isRead =
      handle !== undefined && (take === undefined ? isBlockWhole(file, handle) : takeBlock(file, handle, take));
    if (!isRead) damaged.push({ offset: handle?.offset ?? -1, after, upTo });
    after = upTo;
  }
  return { unreadable: null, damaged };
}

function readFooter(file: Uint8Array): { readonly metaIndex: Handle; readonly index: Handle } | undefined {
  if (file.length < FOOTER_BYTES) return undefined;
  const cursor = new ByteCursor(file.subarray(-FOOTER_BYTES));
  const metaIndex = decodeHandle(cursor);
  const index = decodeHandle(cursor);
  const magic = new ByteCursor(file, file.length - 8).uint64();
  return metaIndex === undefined || index === undefined || magic !== MAGIC ? undefined : { metaIndex, index };
}

function decodeHandle(cursor: ByteCursor): Handle | undefined {
  const offset = cursor.varint();
  const sizeBytes = cursor.varint();
  return cursor.isBad ? undefined : { offset, sizeBytes };
}

function isBlockWhole(file: Uint8Array, { offset, sizeBytes }: Handle): boolean {
  if (offset + sizeBytes + TRAILER_BYTES > file.length) return false;
  const trailer = new ByteCursor(file, offset + sizeBytes);
  const kind = trailer.uint8();
  const crc = computeCrcWithKind(file.subarray(offset, offset + sizeBytes), { value: kind, isFirst: false });
  return kind <= 1 && isMaskedCrc(trailer.uint32(), crc);
}

function readBlock(file: Uint8Array, handle: Handle): Uint8Array | undefined {
  if (!isBlockWhole(file, handle)) return undefined;
  const { offset, sizeBytes } = handle;
  const bytes = file.subarray(offset, offset + sizeBytes);
  return file[offset + sizeBytes] === 1 ? unpackSnappy(bytes) : bytes;
}

/** False, and nothing taken, if any of it is not what it has to be. */
function takeBlock(file: Uint8Array, handle: Handle, take: (change: StoredChange) => void): boolean {
  const block = readBlock(file, handle);
  const entries = block === undefined ? undefined : readEntries(block);
  const changes = entries?.map(toChange);
  if (changes === undefined || changes.includes(undefined)) return false;
  for (const change of changes) if (change !== undefined) take(change);
  return true;
}

function toChange({ key: internal, value }: Entry): StoredChange | undefined {
  const suffix = new ByteCursor(internal, internal.length - KEY_SUFFIX_BYTES).uint64();
  const key = decodeKey(internal.subarray(0, -KEY_SUFFIX_BYTES));
  const kind = suffix & 0xffn;
  if (key === undefined || kind > 1n) return undefined;
  return { key, sequence: Number(suffix >> 8n), value: kind === 1n ? value : null };
}

interface Entry {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

function readEntries(block: Uint8Array): readonly Entry[] | undefined {
  if (block.length < 4) return undefined;
  const restarts = new ByteCursor(block, block.length - 4).uint32();
  const end = block.length - 4 - restarts * 4;
  if (end < 0) return undefined;
  const cursor = new ByteCursor(block.subarray(0, end));
  const entries: Entry[] = [];
  let before = new Uint8Array();
  while (!cursor.isAtEnd) {
    const shared = cursor.varint();
    const added = cursor.varint();
    const valueBytes = cursor.varint();
    const suffix = cursor.take(added);
    const value = cursor.take(valueBytes);
    if (cursor.isBad || shared > before.length || shared + added < KEY_SUFFIX_BYTES) return undefined;
    const key = new Uint8Array(shared + added);
    key.set(before.subarray(0, shared));
    key.set(suffix, shared);
    entries.push({ key, value });
    before = key;
  }
  return cursor.isBad ? undefined : entries;
}
