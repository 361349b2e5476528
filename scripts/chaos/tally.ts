import { z } from 'zod';
import { type Death } from './chaos-node.ts';
import { type Arm, parseArm, type Side } from './crash-points.ts';
import { FAULT_KINDS, type FaultKind } from './plan.ts';

export type Role = 'requester' | 'provider';

export interface FaultCount {
  readonly injected: number;
  /** Of these, those that hit a daemon that was up, with a job under way. */
  readonly effective: number;
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

const count = z.int().min(0);
const findings = z.array(z.strictObject({ seed: z.number(), problem: z.string() }));
const tallySchema = z.strictObject({
  faults: z.array(z.tuple([z.string(), z.strictObject({ injected: count, effective: count })])),
  findings,
  repaired: findings.default([]),
  kills: count,
  effectiveKills: count,
  scenarios: count,
  jobs: count,
  jobsByKind: z.array(z.tuple([z.string(), count])),
  excused: z.array(z.tuple([z.string(), count])),
  shortLogs: count,
  isolation: z.array(z.string()).default([]),
  checks: count,
  seconds: z.number().min(0),
  points: z.array(
    z.strictObject({ role: z.enum(['requester', 'provider']), point: z.string(), before: count, after: count }),
  ),
});
export type TallyRecord = z.output<typeof tallySchema>;

const add = <Key>(counts: Map<Key, number>, key: Key, more: number): void => {
  counts.set(key, (counts.get(key) ?? 0) + more);
};

/** What a run of faults has done and seen so far. */
export class Tally {
  readonly faults = new Map<FaultKind, FaultCount>();
  findings: readonly Finding[] = [];
  /** Findings of scenarios that were repeated since from their plans, and found nothing then. */
  repaired: readonly Finding[] = [];
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
  /** Levels at which providers ran programs. */
  readonly isolation = new Set<string>();
  checks = 0;
  /** Wall time of all runs together. */
  seconds = 0;
  readonly #points = new Map<string, PointCount>();

  /** @throws ZodError unless it is what `toRecord` gave */
  static from(record: unknown): Tally {
    const tally = new Tally();
    tally.merge(tallySchema.parse(record));
    return tally;
  }

  toRecord(): TallyRecord {
    return {
      faults: [...this.faults],
      findings: [...this.findings],
      repaired: [...this.repaired],
      kills: this.kills,
      effectiveKills: this.effectiveKills,
      scenarios: this.scenarios,
      jobs: this.jobs,
      jobsByKind: [...this.jobsByKind],
      excused: [...this.excused],
      shortLogs: this.shortLogs,
      isolation: [...this.isolation],
      checks: this.checks,
      seconds: this.seconds,
      points: [...this.#points.values()],
    };
  }

  /** Adds what another run, or a scenario of this one, has done and seen. */
  merge(other: TallyRecord): void {
    for (const [name, { injected, effective }] of other.faults) {
      const kind = (Object.keys(FAULT_KINDS) as FaultKind[]).find((known) => known === name);
      if (kind !== undefined) this.#addFaults(kind, injected, effective);
    }
    this.findings = [...this.findings, ...other.findings];
    this.repaired = [...this.repaired, ...other.repaired];
    this.kills += other.kills;
    this.effectiveKills += other.effectiveKills;
    this.scenarios += other.scenarios;
    this.jobs += other.jobs;
    for (const [kind, jobs] of other.jobsByKind) add(this.jobsByKind, kind, jobs);
    for (const [reason, jobs] of other.excused) add(this.excused, reason, jobs);
    this.shortLogs += other.shortLogs;
    for (const level of other.isolation) this.isolation.add(level);
    this.checks += other.checks;
    this.seconds += other.seconds;
    for (const { role, point, before, after } of other.points) {
      const known = this.#point(role, point);
      known.before += before;
      known.after += after;
    }
  }

  find(finding: Finding): void {
    this.findings = [...this.findings, finding];
  }

  /** The scenario of this seed was repeated, and found nothing: what it had found stays on record, as repaired. */
  settle(seed: number): void {
    this.repaired = [...this.repaired, ...this.findings.filter((finding) => finding.seed === seed)];
    this.findings = this.findings.filter((finding) => finding.seed !== seed);
  }

  countFault(kind: FaultKind, isEffective: boolean): void {
    this.#addFaults(kind, 1, isEffective ? 1 : 0);
  }

  #addFaults(kind: FaultKind, injected: number, effective: number): void {
    const known = this.faults.get(kind) ?? { injected: 0, effective: 0 };
    this.faults.set(kind, { injected: known.injected + injected, effective: known.effective + effective });
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
    for (const { point, side } of death.points.map(parseArm)) this.#point(role, point)[side] += 1;
  }

  countJob(kind: string): void {
    this.jobs += 1;
    add(this.jobsByKind, kind, 1);
  }

  excuse(reason: string): void {
    add(this.excused, reason, 1);
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
