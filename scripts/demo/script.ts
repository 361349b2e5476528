import { copyFile, cp, mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import pc from 'picocolors';
import type { BundleVerification } from '../../src/bundle/interface.ts';
import type { AnchorView } from '../../src/chain/interface.ts';
import type { AnchorCheck } from '../../src/rpc/interface.ts';
import type { JsonForm } from '../../src/rpc/json-form.ts';
import type { JobEvent, JobView } from '../../src/scheduler/interface.ts';
import { buildExamples } from '../build-examples.ts';
import { evaluateModel, parseModel } from '../digits-model.ts';
import { Cast, type CastMember, type ChainMember, writeTampered } from './cast.ts';
import { printProof } from './proof-table.ts';
import { renderSparkline, type Screen } from './screen.ts';
import { DemoFailure, type Stage } from './stage.ts';
import { TrainingView } from './training-view.ts';

const EXAMPLE = join(import.meta.dirname, '../../examples/digits');
const PROVIDERS = ['ada', 'berta', 'cora', 'dora'] as const;
const REPLICAS = 3;
/** Design section 11: the floor of the demo, install excluded. */
const FLOOR_SECONDS = 60;
const GOAL_SECONDS = 30;
/** The provider is killed when its replica has done this share of the rounds. */
const KILL_AFTER_SHARE = 0.3;
const MINIMUM_ACCURACY = 0.9;
const MESH_TIMEOUT_MS = 20_000;

/** The acts of the demo in their order. */
export class DemoScript {
  readonly #stage: Stage;
  readonly #screen: Screen;
  readonly #cast: Cast;
  readonly #signal: AbortSignal;
  /** Peer id that `init` printed, by name. */
  readonly #identities = new Map<string, string>();
  readonly #members = new Map<string, CastMember>();

  constructor(modules: { readonly stage: Stage; readonly screen: Screen }, options: { readonly signal: AbortSignal }) {
    this.#stage = modules.stage;
    this.#screen = modules.screen;
    this.#signal = options.signal;
    this.#cast = new Cast(modules, options);
  }

  async play(): Promise<void> {
    const screen = this.#screen;
    screen.line(pc.bold('Fogproof demo: one training job, three of four providers, one of them killed on the way'));
    screen.line(pc.dim(`  folder ${this.#stage.directory}`));
    const chain = await screen.phase('A local chain, a network and five identities', () => this.#prepare());
    const requester = await screen.phase('Five daemons find each other', () => this.#startDaemons());
    const { job, victim } = await screen.phase('Three of them train; one is killed', () => this.#train(requester));
    await screen.phase('The result, tried on rows that the network never saw', () => this.#checkResult(requester));
    await screen.phase('The receipts are pinned on the chain', () => this.#anchor(requester, job));
    const bundle = await screen.phase('The evidence is exported, and everybody goes home', () =>
      this.#exportAndStop(requester, victim),
    );
    const verification = await screen.phase('Anybody verifies it: offline, then against the chain', () =>
      this.#verify({ job, bundle, chain }),
    );
    this.#finish(verification);
  }

  async #prepare(): Promise<ChainMember> {
    for (const module of buildExamples({ isForced: false })) {
      if (module.endsWith('trainer.wasm')) await this.#copyJob(module);
    }
    this.#screen.command('fogproof localnet --port 0');
    const chain = await this.#cast.startChain(this.#stage.actor('chain'), ['localnet', '--port', '0']);
    const founder = this.#stage.actor('requester');
    const create = 'network create demo --preset local --output demo.network.json --lease 4s --renewal 1s --rpc-url';
    await this.#cast.expect(founder, [...create.split(' '), chain.status.url]);
    const init = ['init', '--network', 'demo.network.json', '--no-backup', '--plain'];
    this.#screen.command(`fogproof ${init.join(' ')}   ${pc.dim('# five times, each with its own FOGPROOF_HOME')}`);
    const names = ['requester', ...PROVIDERS];
    const made = await Promise.all(
      names.map((name) => this.#cast.expectQuietly<{ peer: string }>(this.#stage.actor(name), init)),
    );
    for (const [index, { peer }] of made.entries()) this.#identities.set(names[index] ?? '', peer);
    this.#screen.require('five homes, five identities', new Set(this.#identities.values()).size === names.length);
    return chain;
  }

  async #copyJob(module: string): Promise<void> {
    const folder = this.#stage.path('digits');
    await mkdir(join(folder, 'build'), { recursive: true });
    await cp(join(EXAMPLE, 'data'), join(folder, 'data'), { recursive: true });
    await copyFile(join(EXAMPLE, 'job.yaml'), join(folder, 'job.yaml'));
    await copyFile(module, join(folder, 'build/trainer.wasm'));
  }

  async #startDaemons(): Promise<CastMember> {
    const start = ['node', 'start', '--no-mdns', '--listen', '/ip4/127.0.0.1/tcp/0'];
    const requesterLine = [...start, '--no-provide'];
    this.#screen.command(`fogproof ${requesterLine.join(' ')}`);
    const requester = await this.#start('requester', requesterLine);
    const [address] = requester.listen;
    if (address === undefined) throw new DemoFailure('the requester listens nowhere');
    const providerLine = [...start, '--bootstrap', address];
    this.#screen.command(`fogproof node start … --bootstrap ${address}   ${pc.dim('# four times')}`);
    const providers = await Promise.all(PROVIDERS.map((name) => this.#start(name, providerLine)));
    const all = [requester, ...providers];
    this.#screen.claim(
      'five daemons run, each under its own identity',
      all.every(({ name, peer }) => this.#identities.get(name) === peer),
    );
    let known: readonly string[] = [];
    await this.#cast.until('the requester knows four providers', MESH_TIMEOUT_MS, async () => {
      const { peers } = await requester.client.call('peers.list', {}, { signal: this.#signal });
      known = peers.filter(({ record }) => record?.provides === true).map(({ peer }) => peer);
      return known.length >= PROVIDERS.length;
    });
    this.#screen.claim(
      'the requester holds the signed node records of exactly these four providers',
      known.length === PROVIDERS.length && providers.every(({ peer }) => known.includes(peer)),
    );
    const slowest = Math.max(...all.map(({ readyAfterMs }) => readyAfterMs));
    this.#screen.line(pc.dim(`  slowest of the five, started together: ready after ${(slowest / 1000).toFixed(2)} s`));
    return requester;
  }

  async #start(name: string, line: readonly string[]): Promise<CastMember> {
    const member = await this.#cast.start(this.#stage.actor(name), line);
    this.#members.set(member.peer, member);
    return member;
  }

  async #train(requester: CastMember): Promise<{ job: JobView; victim: CastMember }> {
    const submit = ['job', 'submit', 'digits/job.yaml', '--detach'];
    const submitted = await this.#cast.expect<JobView>(requester, submit);
    const rounds = await readRounds(this.#stage.path('digits/data/settings.txt'));
    const nameOf = (peer: string): string => this.#members.get(peer)?.name ?? peer.slice(-8);
    const view = new TrainingView(this.#screen, { rounds, nameOf });
    let victim: { readonly member: CastMember; readonly lease: string } | undefined;
    const leases = new Map<string, CastMember>();
    const events = this.#cast.follow<JobEvent>(
      requester,
      'job logs latest --follow --states --each-replica'.split(' '),
    );
    for await (const event of events) {
      view.see(event);
      this.#noteLease(event, leases);
      if (victim !== undefined || event.kind !== 'metric' || event.step < rounds * KILL_AFTER_SHARE) continue;
      const member = leases.get(event.lease);
      if (member === undefined) throw new DemoFailure('a metric of an attempt that nobody leased');
      victim = { member, lease: event.lease };
      member.process.kill('SIGKILL');
      this.#screen.line(
        pc.yellow(`  ⚡ kill -9 ${member.process.pid} (${member.name}, at round ${event.step} of ${rounds})`),
      );
    }
    if (victim === undefined) throw new DemoFailure('no provider came far enough to be killed');
    const job = await this.#cast.expect<JobView>(requester, ['job', 'show', 'latest']);
    this.#screen.require('that is the job that was submitted', job.job === submitted.job);
    await this.#checkReplacement(job, victim);
    // A replica that was moved prints each round once: the first ones by the provider that was lost.
    const lossesOf = (replica: number): readonly number[] =>
      job.attempts
        .filter((attempt) => attempt.replica === replica)
        .toSorted((a, b) => a.attempt - b.attempt)
        .flatMap(({ lease }) => view.lossesOf(lease));
    this.#checkAgreement(job, lossesOf);
    return { job, victim: victim.member };
  }

  #noteLease(event: JobEvent, leases: Map<string, CastMember>): void {
    if (event.kind !== 'attempt') return;
    const member = this.#members.get(event.attempt.provider);
    if (member !== undefined) leases.set(event.attempt.lease, member);
  }

  async #checkReplacement(job: JobView, victim: { member: CastMember; lease: string }): Promise<void> {
    const lost = job.attempts.find(({ lease }) => lease === victim.lease);
    const next = job.attempts.find(
      ({ replica, lease, state }) => replica === lost?.replica && lease !== victim.lease && state === 'revealed',
    );
    const nameOf = (peer: string | undefined): string => this.#members.get(peer ?? '')?.name ?? 'nobody';
    this.#screen.require(
      `replica ${lost?.replica} was lost with ${victim.member.name}; ${nameOf(next?.provider)} went on with it from the state after round ${next?.resumedFrom?.step}`,
      lost?.state === 'lost' &&
        next !== undefined &&
        next.provider !== victim.member.peer &&
        next.resumedFrom?.lease === lost.lease &&
        next.resumedFrom.step > 0,
    );
    const first = job.attempts.filter(({ attempt }) => attempt === 0).map(({ provider }) => provider);
    this.#screen.claim('the replacement is the fourth provider', next !== undefined && !first.includes(next.provider));
    const orphans = await this.#stage.findOrphans(victim.member);
    this.#screen.claim('the killed daemon left no process behind', orphans.length === 0);
  }

  #checkAgreement(job: JobView, lossesOf: (replica: number) => readonly number[]): void {
    this.#screen.require(`the job is completed (${job.state})`, job.state === 'completed' && job.result !== null);
    const { result } = job;
    if (result === null) return;
    const providers = new Set(
      job.attempts.filter(({ lease }) => result.agreeing.includes(lease)).map(({ provider }) => provider),
    );
    this.#screen.require(
      `${REPLICAS} different providers committed to byte-identical results, then revealed them`,
      result.agreeing.length === REPLICAS && result.dissenting.length === 0 && providers.size === REPLICAS,
    );
    const losses = Array.from({ length: REPLICAS }, (_, replica) => lossesOf(replica));
    const [first = []] = losses;
    this.#screen.claim(
      `the loss fell from ${first[0]?.toFixed(3)} to ${first.at(-1)?.toFixed(3)} ${renderSparkline(first)}`,
      (first.at(-1) ?? Number.POSITIVE_INFINITY) < (first[0] ?? 0) / 5,
    );
    this.#screen.claim(
      'every loss of every round is the same in all three, over the move too',
      losses.every((of) => of.length > 0 && of.join() === first.join()),
    );
    this.#screen.line(pc.dim(`  output root ${result.outputRoot}`));
    this.#screen.line(
      pc.dim(`  ${result.fuel?.toLocaleString('en')} units of fuel, the same on each: counted, not measured`),
    );
  }

  async #checkResult(requester: CastMember): Promise<void> {
    await this.#cast.expect(requester, ['job', 'result', 'latest', '--output', 'result']);
    const files = await readdir(this.#stage.path('result'), { recursive: true, withFileTypes: true });
    const [file] = files.filter((entry) => entry.isFile());
    if (file === undefined) throw new DemoFailure('the job wrote no output');
    const model = parseModel(await readFile(join(file.parentPath, file.name)));
    const measured = evaluateModel(model, await readFile(join(EXAMPLE, 'data/test.csv')));
    const accuracy = measured.correct / measured.rows;
    this.#screen.claim(
      `${measured.correct} of ${measured.rows} held-out rows read correctly (${(100 * accuracy).toFixed(1)} %), evaluated here from the delivered weights`,
      accuracy >= MINIMUM_ACCURACY,
    );
    this.#screen.claim('the job itself reported the same', measured.correct === model.heldOut.correct);
  }

  /** One transaction for all receipts of the job, and one for each in which the program itself checks its proof. */
  async #anchor(requester: CastMember, job: JobView): Promise<void> {
    const { chain } = await requester.client.call('node.status', {}, { signal: this.#signal });
    this.#screen.claim('the daemon reaches the chain of the network', chain?.isReachable === true);
    await this.#cast.expect(requester, ['wallet', 'airdrop', '1']);
    const flushed = await this.#cast.expect<{ anchor: JsonForm<AnchorView> | null }>(requester, ['anchor', 'flush']);
    const { anchor } = flushed;
    if (anchor === null) throw new DemoFailure('no receipt waited to be anchored');
    this.#screen.require(
      `${anchor.receipts} receipts under one root, final in slot ${anchor.slot}: entry ${anchor.entry} of this node's log`,
      anchor.state === 'finalized' && anchor.receipts === REPLICAS,
    );
    this.#screen.line(
      pc.dim(`  ${anchor.computeUnits} compute units, ${anchor.feeLamports} lamports: as much for 3 as for 10,000`),
    );
    const verified = await this.#cast.expect<{ checks: JsonForm<AnchorCheck>[] }>(requester, [
      'anchor',
      'verify',
      'latest',
    ]);
    const { checks } = verified;
    const result = job.result?.agreeing.length ?? 0;
    this.#screen.claim(
      'the program checked on chain that each of them is under that root',
      checks.length === result && checks.every(({ entry, slot }) => entry === anchor.entry && slot > 0),
    );
    const [first] = checks;
    this.#screen.line(pc.dim(`  ${first?.computeUnits} compute units, ${first?.feeLamports} lamports a check`));
  }

  async #exportAndStop(requester: CastMember, victim: CastMember): Promise<string> {
    const bundle = 'digits.bundle';
    await this.#cast.expect(requester, ['bundle', 'export', 'latest', '--output', bundle]);
    this.#screen.command(`fogproof node stop   ${pc.dim('# at the four that live')}`);
    const living = [...this.#members.values()].filter((member) => member !== victim);
    const exitCodes = await Promise.all(living.map((member) => this.#cast.stop(member)));
    this.#screen.claim(
      'all four ended gracefully, with exit code 0',
      exitCodes.every((code) => code === 0),
    );
    return bundle;
  }

  async #verify(evidence: { job: JobView; bundle: string; chain: ChainMember }): Promise<BundleVerification> {
    const { job, bundle, chain } = evidence;
    const auditor = this.#stage.actor('auditor');
    await mkdir(auditor.home);
    const offline = await this.#cast.type(auditor, ['bundle', 'verify', bundle]);
    const alone = JSON.parse(offline.stdout) as BundleVerification;
    const verdicts = alone.assurances.map(({ assurance, verdict }) => `${assurance} ${verdict.kind}`);
    this.#screen.claim(
      `with no daemon, no network, an empty home: ${verdicts.join(', ')} (exit code ${offline.exitCode})`,
      offline.exitCode === 3 && verdicts.join() === 'signed valid,replicated valid,anchored unchecked',
    );
    const line = ['bundle', 'verify', bundle, '--rpc-url', chain.status.url];
    const verification = await this.#cast.expect<BundleVerification>(auditor, line);
    this.#screen.claim(
      'with an endpoint of the chain, all three are valid (exit code 0)',
      verification.verdict === 'valid' && verification.assurances.length === 3,
    );
    this.#screen.claim('it is about this job', verification.job.id === job.job);
    const tampered = 'tampered.bundle';
    await writeTampered(this.#stage.path(bundle), this.#stage.path(tampered));
    const { exitCode } = await this.#cast.type(auditor, ['bundle', 'verify', tampered]);
    this.#screen.claim(`one bit flipped: refused (exit code ${exitCode})`, exitCode === 1);
    const chainExit = await this.#cast.stopChain(chain);
    this.#screen.claim('the chain ended gracefully too', chainExit === 0);
    this.#screen.claim('nothing of the demo is running any more', this.#stage.findLeftovers().length === 0);
    return verification;
  }

  #finish(verification: BundleVerification): void {
    printProof(this.#screen, verification);
    const seconds = this.#screen.elapsedSeconds();
    this.#screen.line();
    const times = this.#screen.phases
      .map(({ seconds: taken }, index) => `${index + 1}: ${taken.toFixed(1)}`)
      .join('  ');
    this.#screen.claim(
      `done in ${seconds.toFixed(1)} s (phases ${times}; goal ${GOAL_SECONDS}, floor ${FLOOR_SECONDS})`,
      seconds < FLOOR_SECONDS,
    );
  }
}

async function readRounds(settingsFile: string): Promise<number> {
  const rounds = /^rounds *= *(\d+)/m.exec(await readFile(settingsFile, 'utf8'))?.[1];
  if (rounds === undefined) throw new DemoFailure(`${settingsFile} names no rounds`);
  return Number(rounds);
}
