import { CID } from 'multiformats/cid';
import type { Anchor } from '../domain/anchor.ts';
import type { ObjectId } from '../domain/ids.ts';
import type { Clock } from '../lib/clock.ts';
import { pause } from '../lib/pause.ts';
import { ANCHOR_POLL_MS } from './constants.ts';
import type { AnchorSource } from './interface.ts';

export interface AnchorWait {
  /** 0 takes what is anchored now. */
  readonly forMs: number;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

export interface CollectedAnchors {
  readonly anchors: readonly Anchor[];
  readonly waitingInBatches: readonly number[];
}

/** Anchors of these receipts: at once what there is, or when all have one or the time is over. */
export async function collectAnchors(
  source: AnchorSource,
  receipts: readonly ObjectId[],
  { forMs, clock, signal }: AnchorWait,
): Promise<CollectedAnchors> {
  const endsAtMs = clock.monotonicMs() + forMs;
  const found = new Map<ObjectId, Anchor>();
  while (true) {
    signal.throwIfAborted();
    for (const receipt of receipts) {
      const anchor = found.get(receipt) ?? (await source.proof(digestOf(receipt)));
      if (anchor !== undefined) found.set(receipt, anchor);
    }
    const leftMs = endsAtMs - clock.monotonicMs();
    if (found.size === receipts.length || leftMs <= 0) break;
    await pause(clock, Math.min(ANCHOR_POLL_MS, leftMs), signal);
  }
  const waiting = receipts.filter((receipt) => !found.has(receipt));
  return {
    anchors: receipts.flatMap((receipt) => found.get(receipt) ?? []),
    waitingInBatches: await listBatches(source, waiting),
  };
}

async function listBatches(source: AnchorSource, receipts: readonly ObjectId[]): Promise<readonly number[]> {
  const batches = await Promise.all(receipts.map((receipt) => source.batchOf(digestOf(receipt))));
  return [...new Set(batches.filter((batch) => batch !== undefined))].toSorted((a, b) => a - b);
}

/** The digest in a receipt's CID is the SHA-256 that is anchored. */
function digestOf(receipt: ObjectId): Uint8Array {
  return CID.parse(receipt).multihash.digest;
}
