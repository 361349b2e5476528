/**
 * Which results have to be made canonical. The specification leaves sign and payload of a NaN result open
 * (section 4.3.3), so they differ between machines. That matters only where the bits can be seen: stored, returned,
 * passed on, reinterpreted. A value that is only taken by arithmetic, comparisons and truncations, directly or through
 * locals, need not be touched.
 *
 * Values are nodes. A demand says how the bits of a value may be seen; it flows backwards along `pass` edges.
 */
export const DEMAND = { none: 0, bits: 1, asF32x4: 2, asF64x2: 4 } as const;

/** For each `GIVES` kind: the demands under which its result has to be canonical. Lanes of the same shape hide NaNs. */
const SEEN_AS = [0, DEMAND.bits, DEMAND.bits, DEMAND.bits | DEMAND.asF64x2, DEMAND.bits | DEMAND.asF32x4] as const;

export const NO_NODE = -1;

export class NanFlow {
  private readonly demands: number[] = [];
  private readonly gives: number[] = [];
  private readonly instructions: number[] = [];
  private readonly firstEdge: number[] = [];
  private readonly edgeNext: number[] = [];
  private readonly edgeSource: number[] = [];

  /** A value; `gives` and `instruction` say which instruction made it, if its NaN bits are open. */
  addNode(gives: number, instruction: number): number {
    this.demands.push(DEMAND.none);
    this.gives.push(gives);
    this.instructions.push(instruction);
    this.firstEdge.push(NO_NODE);
    return this.demands.length - 1;
  }

  /** The bits of `source` become the bits of `target`. */
  addEdge(target: number, source: number): void {
    if (source === NO_NODE) return;
    this.edgeNext.push(this.firstEdge[target] ?? NO_NODE);
    this.edgeSource.push(source);
    this.firstEdge[target] = this.edgeSource.length - 1;
  }

  demand(node: number, demand: number): void {
    if (node !== NO_NODE) this.demands[node] = (this.demands[node] ?? 0) | demand;
  }

  /** Calls `mark` with each instruction whose result has to be made canonical, and its kind. */
  solve(mark: (instruction: number, gives: number) => void): void {
    const waiting: number[] = [];
    this.demands.forEach((demand, node) => {
      if (demand !== DEMAND.none) waiting.push(node);
    });
    for (let node = waiting.pop(); node !== undefined; node = waiting.pop()) this.spread(node, waiting);
    this.gives.forEach((gives, node) => {
      if (((this.demands[node] ?? 0) & (SEEN_AS[gives] ?? 0)) !== 0) mark(this.instructions[node] ?? 0, gives);
    });
  }

  private spread(node: number, waiting: number[]): void {
    const demand = this.demands[node] ?? 0;
    for (let edge = this.firstEdge[node] ?? NO_NODE; edge !== NO_NODE; edge = this.edgeNext[edge] ?? NO_NODE) {
      const source = this.edgeSource[edge] ?? NO_NODE;
      const before = this.demands[source] ?? 0;
      if ((before | demand) === before) continue;
      this.demands[source] = before | demand;
      waiting.push(source);
    }
  }
}
