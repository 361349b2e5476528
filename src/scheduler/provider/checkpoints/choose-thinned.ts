/** The newest snapshots are what a dead provider's job goes on from. */
const ALWAYS_KEPT = 2;

/**
 * Which of an attempt's snapshots to let go of so that `max` stay: each time the one whose neighbours are nearest to
 * each other, so that the distances stay even. The newest two are never among them.
 * @param steps in ascending order
 * @param startStep where the attempt began: from there it can be run again without a snapshot
 */
export function chooseThinned(steps: readonly number[], startStep: number, max: number): number[] {
  const kept = [...steps];
  const thinned: number[] = [];
  while (kept.length > Math.max(max, ALWAYS_KEPT)) {
    let narrowest = 0;
    let narrowestGap = Number.POSITIVE_INFINITY;
    for (let index = 0; index < kept.length - ALWAYS_KEPT; index += 1) {
      const gap = (kept[index + 1] ?? 0) - (kept[index - 1] ?? startStep);
      if (gap >= narrowestGap) continue;
      narrowestGap = gap;
      narrowest = index;
    }
    thinned.push(...kept.splice(narrowest, 1));
  }
  return thinned;
}
