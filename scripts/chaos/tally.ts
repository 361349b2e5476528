import { type Death } from './chaos-node.ts';
import { type Arm, parseArm, type Side } from './crash-points.ts';
import type { FaultKind } from './plan.ts';

export type Role = 'requester' | 'provider';

export interface FaultCount {
  injected: number;
  /** Of these, those that hit a daemon that was up, with a job under way. */
  effective: number;
}

export interface PointCount {
  readonly role: Role;
  readonly point: string;
  before: number;
  after: number;
}

/** Violation of what is promised, with all that it takes to look into it. */
export interface Finding {
  readonly seed: number;
  readonly problem: string;
}

/** What a run of faults has done and seen so far. */
export class Tally {
  readonly faults = new Map<FaultKind, FaultCount>();
  readonly findings: Finding[] = [];
  /** SIGKILLs, by the harness or at a crash point. */
  kills = 0;
  effectiveKills = 0;
  scenarios = 0;
  jobs = 0;
  readonly jobsByKind = new Map<string, number>();
  /** Jobs that ended without the result because of faults that took away what they needed. */
  readonly excused = new Map<string, number>();
  /** Jobs with the right result, of which some log lines or metrics went with a provider that died. */
  shortLogs = 0;
  checks = 0;
  readonly #points = new Map<string, PointCount>();

  countFault(kind: FaultKind, isEffective: boolean): void {
    const count = this.faults.get(kind) ?? { injected: 0, effective: 0 };
    count.injected += 1;
    if (isEffective) count.effective += 1;
    this.faults.set(kind, count);
  }

  countKill(isEffective: boolean): void {
    this.kills += 1;
    if (isEffective) this.effectiveKills += 1;
  }

  addPoints(role: Role, points: readonly string[]): void {
    for (const point of points) this.#point(role, point);
  }

  /** A daemon killed itself where it was armed. */
  countDeath(role: Role, death: Death): void {
    if (death.point === null) return;
    const { point, side } = parseArm(death.point);
    this.#point(role, point)[side] += 1;
  }

  countJob(kind: string): void {
    this.jobs += 1;
    this.jobsByKind.set(kind, (this.jobsByKind.get(kind) ?? 0) + 1);
  }

  excuse(reason: string): void {
    this.excused.set(reason, (this.excused.get(reason) ?? 0) + 1);
  }

  /** Those known of a role, by name. */
  points(role: Role): readonly PointCount[] {
    return [...this.#points.values()]
      .filter((count) => count.role === role)
      .sort((a, b) => (a.point < b.point ? -1 : 1));
  }

  /** The sides of points that a process died at fewer than `times` times. */
  missing(role: Role, times: number): readonly Pick<Arm, 'point' | 'side'>[] {
    return this.points(role).flatMap((count) =>
      (['before', 'after'] as const satisfies readonly Side[])
        .filter((side) => count[side] < times)
        .map((side) => ({ point: count.point, side })),
    );
  }

  #point(role: Role, point: string): PointCount {
    const key = `${role} ${point}`;
    const known = this.#points.get(key) ?? { role, point, before: 0, after: 0 };
    this.#points.set(key, known);
    return known;
  }
}
