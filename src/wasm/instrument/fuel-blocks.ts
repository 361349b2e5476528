/**
 * Runs of instructions that are entered at one place and left at one place: their fuel is charged at the head, at once.
 * The head of a loop that is branched to also checks whether fuel is left; code between two checks has no cycle.
 */
export class FuelBlocks {
  private readonly costs = new Map<number, number>();
  private readonly checked = new Set<number>();
  private head = -1;
  total = 0;

  /** A run begins in front of instruction `head`. */
  begin(head: number): void {
    this.head = head;
  }

  /** What follows cannot be reached. */
  stop(): void {
    this.head = -1;
  }

  add(fuel: number): void {
    if (this.head < 0) return;
    this.costs.set(this.head, (this.costs.get(this.head) ?? 0) + fuel);
    this.total += fuel;
  }

  check(head: number): void {
    this.checked.add(head);
  }

  costAt(head: number): number {
    return this.costs.get(head) ?? 0;
  }

  isCheckedAt(head: number): boolean {
    return this.checked.has(head);
  }

  get hasChecks(): boolean {
    return this.checked.size > 0;
  }
}
