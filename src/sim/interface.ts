/**
 * sim runs the code of the daemon that chooses neighbours, judges gossip, keeps reputation and picks providers, with up to
 * 10,000 nodes in one process: a virtual clock, randomness from a seed, and a model of the network and of adversaries.
 * It owns the models, the statistics and the scenarios with their thresholds. It does not own, and does not repeat, what
 * it examines: that is imported. libp2p is not in it; each outcome names what is production code and what a model.
 * Parts: clock/ · random/ · model/ (regions, loss, partitions, churn) · neighbours/ · jobs/ · gossip/ (one simulation
 * each) · graph/ · statistics/ · scenarios/ (data) · report/ (JSON, SVG).
 */

/** Numbers that a scenario gives, by name. */
export type Measures = Readonly<Record<string, number>>;

export interface Threshold {
  /** Which of the measures. */
  readonly measure: string;
  readonly rule: 'at-least' | 'at-most';
  readonly bound: number;
  /** In place of `bound` for a seed that was not fixed beforehand: a chance of 1 in 100 comes true once in 100 runs. */
  readonly freshBound?: number;
  /** Below so many nodes it says nothing, and is left out. */
  readonly leastNodes?: number;
  /** In plain words, what it means. */
  readonly meaning: string;
}

export interface Series {
  readonly name: string;
  readonly points: readonly (readonly [x: number, y: number])[];
}

export interface Chart {
  readonly kind: 'bars' | 'lines';
  readonly title: string;
  readonly xLabel: string;
  readonly yLabel: string;
  readonly series: readonly Series[];
}

export interface Outcome {
  readonly measures: Measures;
  readonly charts: readonly Chart[];
  /** Files of the daemon that ran, and what stood in for the rest. */
  readonly production: readonly string[];
  readonly models: readonly string[];
}

export interface RunOptions {
  readonly seed: string;
  readonly nodes: number;
  /** `ideal`: a hash that the verifier looks up; `real`: ECVRF, 5 ms each. */
  readonly vrf: 'ideal' | 'real';
  readonly onProgress: (text: string) => void;
}

export interface Scenario {
  readonly name: string;
  /** What is asked, in one sentence. */
  readonly question: string;
  /** How many nodes unless something else is asked for, and for which numbers it is written. */
  readonly nodes: { readonly usual: number; readonly least: number; readonly most: number };
  readonly thresholds: readonly Threshold[];
  /** What is in force; goes into the report as it is. */
  readonly parameters: Readonly<Record<string, unknown>>;
  run(options: RunOptions): Promise<Outcome>;
}

export interface Check extends Threshold {
  readonly value: number;
  readonly verdict: 'held' | 'missed' | 'left-out';
  readonly appliedBound: number;
}

export interface ScenarioReport extends Outcome {
  readonly scenario: string;
  readonly question: string;
  readonly seed: string;
  readonly seedKind: 'fixed' | 'fresh';
  readonly nodes: number;
  readonly vrf: RunOptions['vrf'];
  readonly parameters: Scenario['parameters'];
  readonly checks: readonly Check[];
}
