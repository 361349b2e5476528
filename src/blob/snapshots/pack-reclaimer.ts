import { MAX_SNAPSHOT_PIECES } from '../../domain/snapshot.ts';
import { areBytesEqual } from '../../lib/bytes.ts';
import { sha256 } from '../../lib/cid.ts';
import { COMPACT_BYTES, COMPACT_SHARE, SMALL_PACK } from './constants.ts';
import { fromDigestKey, type ItemIndex, type Pack, type StoredItem } from './item-index.ts';
import type { SnapshotMetrics } from './metrics.ts';
import type { PackDisk } from './pack-disk.ts';
import { type PackWriter, packName } from './pack-file.ts';

/** `worthwhile` leaves what is not needed where little would be gained; `everything` is for a full store. */
export type ReclaimMode = 'worthwhile' | 'everything';

export interface PackReclaimerModules {
  readonly disk: PackDisk;
  readonly index: ItemIndex;
  readonly metrics: SnapshotMetrics;
  readonly createWriter: () => PackWriter;
  /** Told of an item whose bytes are damaged. */
  readonly onDamaged: (item: StoredItem) => void;
}

/**
 * Deletes packs of which nothing is needed and brings together what is needed of others. A crash at any point leaves
 * items twice at most: the copies are needed only once the index finds them there, and the originals go after that.
 */
export class PackReclaimer {
  readonly #modules: PackReclaimerModules;
  #tail: Promise<void> = Promise.resolve();
  #isStopped = false;

  constructor(modules: PackReclaimerModules) {
    this.#modules = modules;
  }

  /** One after the other. */
  run(mode: ReclaimMode): Promise<void> {
    const run = this.#tail.then(() => this.#reclaim(mode));
    this.#tail = run.catch(() => undefined);
    return run;
  }

  /** Ends what runs after the item in work. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#tail;
  }

  async #reclaim(mode: ReclaimMode): Promise<void> {
    const { index } = this.#modules;
    await this.#removeUnneeded();
    for (;;) {
      const sparse = this.#isStopped ? [] : chooseSparse(index.packs, mode);
      if (sparse.length === 0) return;
      if (!(await this.#compact(sparse))) return;
      await this.#removeUnneeded();
    }
  }

  async #removeUnneeded(): Promise<void> {
    const { disk, index } = this.#modules;
    for (const pack of index.packs) {
      if (this.#isStopped) return;
      if (pack.holders > 0 || pack.liveItems > 0) continue;
      index.drop(pack);
      await disk.remove(packName(pack.number));
    }
  }

  /** False if it was stopped before its end. */
  async #compact(packs: readonly Pack[]): Promise<boolean> {
    const { disk, index, metrics } = this.#modules;
    const items = packs.flatMap((pack) => index.prune(pack));
    await using writer = this.#modules.createWriter();
    for (const item of items) {
      if (this.#isStopped) return false;
      if (item.references === 0 || item.isLost) continue;
      const bytes = await disk.read(packName(item.pack.number), item.offset, item.sizeBytes);
      const digest = fromDigestKey(item.key);
      if (bytes !== undefined && areBytesEqual(sha256(bytes), digest)) await writer.append(digest, bytes);
      else this.#modules.onDamaged(item);
    }
    if (writer.itemCount === 0) return true;
    const { payloadBytes } = writer;
    index.move(await writer.finish(null));
    metrics.compacted.increment({}, payloadBytes);
    return true;
  }
}

function chooseSparse(packs: Iterable<Pack>, mode: ReclaimMode): readonly Pack[] {
  const share = mode === 'everything' ? 1 : COMPACT_SHARE;
  const free = [...packs].filter(({ holders, liveItems }) => holders === 0 && liveItems > 0);
  const sparse = free.filter(({ liveBytes, payloadBytes }) => liveBytes < payloadBytes * share);
  const small = free.filter(({ payloadBytes }) => payloadBytes < SMALL_PACK.bytes);
  const chosen = new Set(small.length >= SMALL_PACK.count ? [...sparse, ...small] : sparse);
  const smallestFirst = [...chosen].sort((a, b) => a.liveBytes - b.liveBytes);
  let bytes = 0;
  let items = 0;
  return smallestFirst.filter((pack, place) => {
    bytes += pack.liveBytes;
    items += pack.liveItems;
    return place === 0 || (bytes <= COMPACT_BYTES && items <= MAX_SNAPSHOT_PIECES);
  });
}
