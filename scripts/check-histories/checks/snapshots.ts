import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { parsePackName } from '../../../src/blob/snapshots/pack-file.ts';
import {
  DIGEST_BYTES,
  decodePackEnd,
  measurePayload,
  type PackContent,
  readFooterLength,
  TRAILER_BYTES,
} from '../../../src/blob/snapshots/pack-format.ts';
import { REGISTRATION_CODEC } from '../../../src/blob/snapshots/registration-codec.ts';
import { decodeObject } from '../../../src/domain/object-type.ts';
import { SNAPSHOT, type Snapshot } from '../../../src/domain/snapshot.ts';
import { encodeHex } from '../../../src/lib/bytes.ts';
import { formatRawId, sha256 } from '../../../src/lib/cid.ts';
import { attempt, listFiles, type OpenedNode, readRange } from '../open-node.ts';
import type { RunContext } from '../run-context.ts';

/** Items and objects of all packs of a node that hash to their names. */
interface Packs {
  readonly items: ReadonlySet<string>;
  readonly snapshots: ReadonlyMap<string, Snapshot>;
}

/** Every registered snapshot: its object and all of its items are in some pack, and hash to their names. */
export async function checkSnapshots({ tally, nowMs }: RunContext, node: OpenedNode): Promise<void> {
  let packs: Packs | undefined;
  for await (const [key, bytes] of readRange(node.database, 'snapshots', {})) {
    const row = attempt(() => REGISTRATION_CODEC.decode(bytes));
    if (row === undefined) continue;
    // Whose time has passed may be gone, and its row goes with the next look.
    if (row.keptUntilMs < nowMs) {
      tally.skip('snapshots-whole');
      continue;
    }
    packs ??= await readPacks(node);
    const found = packs.snapshots.get(row.snapshot);
    const missing = found === undefined ? 0 : countMissing(found, packs.items);
    tally.check('snapshots-whole', { node: node.name, key: `snapshots/${key}` }, [
      [found !== undefined, `the snapshot ${row.snapshot} is in no pack`],
      [missing === 0, `${missing} of its items are missing or damaged`],
    ]);
  }
}

function countMissing({ items }: Snapshot, found: ReadonlySet<string>): number {
  let missing = 0;
  for (let offset = 0; offset < items.length; offset += DIGEST_BYTES) {
    if (!found.has(encodeHex(items.subarray(offset, offset + DIGEST_BYTES)))) missing += 1;
  }
  return missing;
}

async function readPacks(node: OpenedNode): Promise<Packs> {
  const items = new Set<string>();
  const snapshots = new Map<string, Snapshot>();
  for (const name of await listFiles(node.paths.snapshots)) {
    if (parsePackName(name) === undefined) continue;
    await using file = await open(join(node.paths.snapshots, name), 'r');
    const content = await readContent(file);
    if (content !== undefined) await readPack(file, content, { items, snapshots });
  }
  return { items, snapshots };
}

async function readContent(file: FileHandle): Promise<PackContent | undefined> {
  const { size } = await file.stat();
  const footerBytes = readFooterLength(await readAt(file, size - TRAILER_BYTES, TRAILER_BYTES));
  if (footerBytes === undefined) return undefined;
  const endBytes = footerBytes + TRAILER_BYTES;
  return decodePackEnd(await readAt(file, size - endBytes, endBytes), size);
}

async function readAt(file: FileHandle, offset: number, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(Math.max(0, length));
  const { bytesRead } = await file.read(bytes, 0, bytes.length, Math.max(0, offset));
  return bytes.subarray(0, bytesRead);
}

async function readPack(
  file: FileHandle,
  content: PackContent,
  found: { readonly items: Set<string>; readonly snapshots: Map<string, Snapshot> },
): Promise<void> {
  let offset = 0;
  for (const [index, length] of content.lengths.entries()) {
    const digest = encodeHex(content.digests.subarray(index * DIGEST_BYTES, (index + 1) * DIGEST_BYTES));
    if (encodeHex(sha256(await readAt(file, offset, length))) === digest) found.items.add(digest);
    offset += length;
  }
  if (content.snapshot === null) return;
  const { sizeBytes, digest } = content.snapshot;
  const bytes = await readAt(file, measurePayload(content) - sizeBytes, sizeBytes);
  const snapshot = attempt(() => decodeObject(SNAPSHOT, bytes));
  if (snapshot !== undefined && encodeHex(sha256(bytes)) === encodeHex(digest)) {
    found.snapshots.set(formatRawId(digest), snapshot);
  }
}
