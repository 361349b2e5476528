import type { PeerKey } from '../../domain/ids.ts';
import type { Job } from '../../domain/job.ts';
import { NEIGHBOUR_SLOTS } from '../../network/neighbours/constants.ts';
import { rankCandidates } from '../../scheduler/requester/candidates.ts';
import { MOST_TRUSTED } from '../../scheduler/requester/first-asked.ts';
import { VRF_OUTPUT_BYTES } from '../../vrf/ecvrf.ts';
import { rankLowest } from '../../vrf/selection.ts';
import { VirtualClock } from '../clock/virtual-clock.ts';
import { NetworkModel } from '../model/network-model.ts';
import type { SeededRandom } from '../random/seeded-random.ts';
import { createJob } from './create-job.ts';
import { type Behaviour, createProvider, type Provider, SLOTS_PER_PROVIDER } from './create-provider.ts';
import { Requester } from './requester.ts';
import { OUTCOMES, SharedReputation } from './shared-reputation.ts';

export interface JobSimulationOptions {
  readonly nodes: number;
  readonly adversaries: number;
  readonly behaviour: Behaviour;
  /** Adversaries come back under a new identity in each epoch. */
  readonly isWhitewashing: boolean;
  /** Adversaries praise each other and slander honest providers, as much as counts. */
  readonly isColluding: boolean;
  /** Base units an hour: what honest providers and adversaries ask. */
  readonly prices: { readonly honest: string; readonly adversary: string };
  readonly epochs: number;
  readonly jobsPerEpoch: number;
}

export interface EpochCount {
  readonly done: number;
  readonly submitted: number;
  readonly attempts: number;
  /** Attempts that adversaries got. */
  readonly captured: number;
}

export interface JobResult {
  readonly epochs: readonly EpochCount[];
  /** Mean lower bounds at the end. */
  readonly honestBound: number;
  readonly adversaryBound: number;
  /** Observations for which there was no room. */
  readonly refused: number;
}

export const EPOCH_MS = 3_600_000;
const START_MS = 500_000 * EPOCH_MS;
/** A lease that nobody renews ends after this (design section 12), ms. */
const LEASE_MS = 120_000;
/** What a job takes, ms: anything between. */
const RUN_MS = { least: 20_000, most: 90_000 } as const;
const FAIL_AT_ONCE_MS = 500;
/** Attempts of an honest provider that fail: a crash, a full disk. */
const HONEST_FAILURES = 0.005;
/** On-off: epochs in which it serves, then epochs in which it does not. */
const ON_EPOCHS = 6;
const OFF_EPOCHS = 3;
/** Observations of one pair that count in an epoch. */
const PAIR_CAP = 10;

/** Requesters, providers and what becomes of jobs, over epochs. Choosing, experience and reputation are the daemon's. */
export class JobSimulation {
  readonly #clock = new VirtualClock({ startMs: START_MS });
  readonly #random: SeededRandom;
  readonly #options: JobSimulationOptions;
  readonly #network: NetworkModel;
  readonly #reputation: SharedReputation;
  readonly #honest: readonly Provider[];
  #adversaries: readonly Provider[];
  readonly #requesters: readonly Requester[];
  readonly #byPeer = new Map<PeerKey, Provider>();
  readonly #counts: EpochCount[] = [];

  private constructor(random: SeededRandom, options: JobSimulationOptions, reputation: SharedReputation) {
    this.#random = random;
    this.#options = options;
    this.#reputation = reputation;
    this.#network = new NetworkModel(random.fork('network'), { nodes: options.nodes, loss: 0 });
    const honest = options.nodes - options.adversaries;
    this.#honest = Array.from({ length: honest }, (_, number) => this.#create(number));
    this.#adversaries = Array.from({ length: options.adversaries }, (_, index) => this.#create(honest + index));
    this.#requesters = this.#honest.map((provider) => new Requester(provider, this.#network));
  }

  static async run(random: SeededRandom, options: JobSimulationOptions): Promise<JobResult> {
    const reputation = await SharedReputation.create(random.fork('reputation'), { epochMs: EPOCH_MS });
    const simulation = new JobSimulation(random, options, reputation);
    for (let epoch = 0; epoch < options.epochs; epoch += 1) await simulation.#runEpoch(epoch);
    return simulation.#conclude();
  }

  async #runEpoch(epoch: number): Promise<void> {
    const { isWhitewashing, isColluding, jobsPerEpoch } = this.#options;
    if (isWhitewashing && epoch > 0) this.#whitewash();
    this.#meetAll();
    this.#counts.push({ done: 0, submitted: 0, attempts: 0, captured: 0 });
    for (const requester of this.#requesters) {
      for (let index = 0; index < jobsPerEpoch; index += 1) {
        this.#clock.schedule(
          this.#random.uniform() * EPOCH_MS * LAST_SUBMISSION,
          () => void this.#runJob(requester, epoch),
        );
      }
    }
    if (isColluding) this.#clock.schedule(EPOCH_MS / 2, () => this.#collude());
    await this.#clock.advance(EPOCH_MS);
  }

  #conclude(): JobResult {
    const nowMs = this.#clock.nowMs();
    const mean = (providers: readonly Provider[]): number =>
      providers.reduce((sum, { peer }) => sum + this.#reputation.scoreOf(peer, nowMs).lowerBound, 0) / providers.length;
    return {
      epochs: this.#counts,
      honestBound: mean(this.#honest),
      adversaryBound: mean(this.#adversaries),
      refused: this.#reputation.refused,
    };
  }

  #create(number: number): Provider {
    const { nodes, adversaries, behaviour, prices } = this.#options;
    const isHonest = number < nodes - adversaries;
    const provider = createProvider(this.#random, {
      number,
      behaviour: isHonest ? 'honest' : behaviour,
      nowMs: this.#clock.nowMs(),
      price: isHonest ? prices.honest : prices.adversary,
    });
    this.#byPeer.set(provider.peer, provider);
    return provider;
  }

  #whitewash(): void {
    for (const { peer } of this.#adversaries) this.#byPeer.delete(peer);
    this.#adversaries = this.#adversaries.map(({ number }) => this.#create(number));
  }

  /** A new epoch: everybody knows everybody, and draws neighbours by rank. */
  #meetAll(): void {
    const all = [...this.#honest, ...this.#adversaries];
    const candidates = all.map(({ peer, peerBytes }) => ({ peer, peerBytes, groups: [] }));
    for (const requester of this.#requesters) {
      const { peer } = requester.self;
      const ranked = rankLowest(this.#random.bytes(VRF_OUTPUT_BYTES), candidates, NEIGHBOUR_SLOTS + 1);
      const neighbours = ranked.filter((candidate) => candidate.peer !== peer).slice(0, NEIGHBOUR_SLOTS);
      requester.meet(
        all.filter((provider) => provider.peer !== peer),
        new Set(neighbours.map((candidate) => candidate.peer)),
      );
    }
  }

  /** Goes down the ranking until a provider serves, or the retries are used up. */
  async #runJob(requester: Requester, epoch: number): Promise<void> {
    const { peer } = requester.self;
    const job = createJob(this.#random, peer, this.#clock.nowMs());
    this.#count(epoch, { submitted: 1 });
    const tried = new Set<PeerKey>();
    for (let attempt = 0; attempt <= job.retries; attempt += 1) {
      const provider = this.#choose(requester, job, tried);
      if (provider === undefined) return;
      tried.add(provider.peer);
      this.#count(epoch, { attempts: 1, captured: provider.behaviour === 'honest' ? 0 : 1 });
      const outcome = await this.#attempt(requester, provider);
      this.#reputation.observe({
        observer: peer,
        subject: provider.peer,
        outcome: OUTCOMES[outcome],
        nowMs: this.#clock.nowMs(),
      });
      if (outcome === 'served') return this.#count(epoch, { done: 1 });
    }
  }

  #choose(requester: Requester, job: Job, tried: ReadonlySet<PeerKey>): Provider | undefined {
    const nowMs = this.#clock.nowMs();
    const reputation = { scoreOf: (peer: PeerKey) => this.#reputation.scoreOf(peer, nowMs) };
    const ranked = rankCandidates({ peers: requester, standings: requester.standings, reputation }, job);
    const first = tried.size > 0 ? new Set(requester.standings.listTrusted(MOST_TRUSTED)) : new Set<PeerKey>();
    for (const peer of [...ranked.filter((peer) => first.has(peer)), ...ranked.filter((peer) => !first.has(peer))]) {
      const provider = this.#byPeer.get(peer);
      // Full ones refuse to make an offer, which is not held against them.
      if (provider !== undefined && !tried.has(peer) && provider.active < SLOTS_PER_PROVIDER) return provider;
    }
    return undefined;
  }

  async #attempt(requester: Requester, provider: Provider): Promise<keyof typeof OUTCOMES> {
    requester.standings.begin(provider.peer);
    provider.active += 1;
    const outcome = this.#decide(provider);
    await this.#clock.wait(
      this.#network.roundTripMs(requester.self.number, provider.number) + this.#drawTimeMs(outcome),
    );
    provider.active -= 1;
    requester.standings.end(provider.peer, outcome === 'served' ? 'served' : 'failed');
    return outcome;
  }

  #decide({ behaviour }: Provider): keyof typeof OUTCOMES {
    switch (behaviour) {
      case 'honest':
        return this.#random.isBelow(HONEST_FAILURES) ? 'failed' : 'served';
      case 'silent':
        return 'lost';
      case 'lying':
        return 'failed';
      case 'on-off': {
        const epoch = Math.floor((this.#clock.nowMs() - START_MS) / EPOCH_MS);
        return epoch % (ON_EPOCHS + OFF_EPOCHS) < ON_EPOCHS ? 'served' : 'lost';
      }
      default:
        return behaviour satisfies never;
    }
  }

  #drawTimeMs(outcome: keyof typeof OUTCOMES): number {
    if (outcome === 'lost') return LEASE_MS;
    return outcome === 'failed'
      ? FAIL_AT_ONCE_MS
      : RUN_MS.least + this.#random.uniform() * (RUN_MS.most - RUN_MS.least);
  }

  /** Each adversary: praise for each other one, slander for each honest provider, both as often as counts. */
  #collude(): void {
    const nowMs = this.#clock.nowMs();
    for (const { peer: observer } of this.#adversaries) {
      for (const { peer: subject } of [...this.#adversaries, ...this.#honest]) {
        if (subject === observer) continue;
        const isPraise = this.#byPeer.get(subject)?.behaviour !== 'honest';
        for (let index = 0; index < PAIR_CAP; index += 1) {
          this.#reputation.publish({ observer, subject, nowMs, outcome: isPraise ? OUTCOMES.served : OUTCOMES.lost });
        }
      }
    }
  }

  #count(epoch: number, added: Partial<EpochCount>): void {
    const known = this.#counts[epoch];
    if (known === undefined) return;
    this.#counts[epoch] = {
      done: known.done + (added.done ?? 0),
      submitted: known.submitted + (added.submitted ?? 0),
      attempts: known.attempts + (added.attempts ?? 0),
      captured: known.captured + (added.captured ?? 0),
    };
  }
}

/** Part of an epoch in which jobs are submitted: the last ones end in it too. */
const LAST_SUBMISSION = 0.8;
