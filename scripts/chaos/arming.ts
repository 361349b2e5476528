import { setTimeout as sleep } from 'node:timers/promises';
import { type Arm, formatArm } from './crash-points.ts';
import type { Fleet } from './fleet.ts';
import type { Plan } from './plan.ts';
import type { Role } from './tally.ts';

const ROLES: readonly Role[] = ['requester', 'provider'];
/** Written once, when a data folder is used for the first time: armed before that. */
const FIRST_POINT = 'meta';
/** How long no daemon may come to any point that it is armed with, before the rest is left for another scenario. */
const PATIENCE_MS = 120_000;
const POLL_MS = 50;

/** Arms the nodes with the points of a plan: all of a role with all that are open, and they die at the first they come to. */
export class Arming {
  readonly #fleet: Fleet;
  readonly #arms: Plan['arms'];
  readonly #signal: AbortSignal;
  /** How often a daemon is yet to die at each. */
  readonly #open: Readonly<Record<Role, Map<string, number>>> = { requester: new Map(), provider: new Map() };

  constructor(modules: { readonly fleet: Fleet; readonly signal: AbortSignal }, arms: Plan['arms']) {
    this.#fleet = modules.fleet;
    this.#signal = modules.signal;
    this.#arms = arms;
  }

  armFirstStart(): void {
    this.#arm(({ point }) => point === FIRST_POINT);
  }

  /** Each of the points as often as the plan says; resolves when that is done, or none is come to any more. */
  async passAll(): Promise<void> {
    this.#arm(({ point }) => point !== FIRST_POINT);
    let left = this.#left;
    let deadlineMs = performance.now() + PATIENCE_MS;
    while (left > 0 && performance.now() < deadlineMs) {
      await sleep(POLL_MS, undefined, { signal: this.#signal });
      if (this.#left < left) deadlineMs = performance.now() + PATIENCE_MS;
      left = this.#left;
    }
    for (const role of ROLES) {
      this.#open[role].clear();
      this.#armNodes(role);
    }
  }

  /** A daemon died there. */
  countDeath(role: Role, points: readonly string[]): void {
    const open = this.#open[role];
    for (const point of points) {
      const left = (open.get(point) ?? 0) - 1;
      if (left > 0) open.set(point, left);
      else open.delete(point);
    }
    if (points.length > 0) this.#armNodes(role);
  }

  get #left(): number {
    const counts = [...this.#open.requester.values(), ...this.#open.provider.values()];
    return counts.reduce((sum, count) => sum + count, 0);
  }

  #arm(isMeant: (arm: Arm) => boolean): void {
    for (const role of ROLES) {
      const open = this.#open[role];
      for (const arm of this.#arms[role].filter(isMeant)) open.set(formatArm(arm), (open.get(formatArm(arm)) ?? 0) + 1);
      this.#armNodes(role);
    }
  }

  #armNodes(role: Role): void {
    const nodes = role === 'requester' ? this.#fleet.requesters : this.#fleet.providers;
    for (const node of nodes) node.control({ arms: [...this.#open[role].keys()] });
  }
}
