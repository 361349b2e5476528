import type { BlobStore } from '../../blob/interface.ts';
import type { CommitmentSet } from '../../domain/commitment.ts';
import { type LeaseId, UnixMs } from '../../domain/ids.ts';
import type { Job } from '../../domain/job.ts';
import type { Signed } from '../../domain/signed.ts';
import { tallyResults } from '../job-decision.ts';
import type { JobMachineEvent } from '../job-machine-events.ts';
import { findAttempt } from '../job-machine-state.ts';
import type { RequesterMetrics } from '../metrics.ts';
import type { JobRequesterOptions } from '../options.ts';
import {
  askReveal,
  askSetSignature,
  createRoundSet,
  type Member,
  type RoundModules,
  type RoundSet,
} from './agree-round.ts';
import type { AttemptCase } from './attempt-case.ts';
import { sleep } from './backoff.ts';
import { storeInlineOutputs } from './collect-outputs.ts';
import { expectAttestation } from './confidential/check-attestation.ts';
import type { JobLedger, LedgerExtras } from './job-ledger.ts';

export interface AgreementModules extends RoundModules {
  readonly blobs: Pick<BlobStore, 'put'>;
  readonly ledger: JobLedger;
  readonly cases: ReadonlyMap<LeaseId, AttemptCase>;
  readonly metrics: Pick<RequesterMetrics, 'peerFaults'>;
  /** An attempt changed in the ledger. */
  readonly onChange: () => void;
}

export interface AgreementOptions extends Pick<JobRequesterOptions, 'roundTimeoutMs' | 'revealGraceMs' | 'parameters'> {
  readonly job: Signed<Job>;
  readonly signal: AbortSignal;
}

/** Commit, then reveal over the replicas of one job: the signatures of the set, then the results. */
export class Agreement {
  readonly #modules: AgreementModules;
  readonly #options: AgreementOptions;

  constructor(modules: AgreementModules, options: AgreementOptions) {
    this.#modules = modules;
    this.#options = options;
  }

  /** The set over the commitments of these leases. */
  describeSet(leases: readonly LeaseId[]): CommitmentSet | undefined {
    return this.#createRound(leases)?.set;
  }

  #createRound(leases: readonly LeaseId[]): RoundSet | undefined {
    const members: Member[] = leases.flatMap((lease) => {
      const attempt = this.#modules.cases.get(lease);
      return attempt?.commitment ? [{ attempt, commitment: attempt.commitment }] : [];
    });
    return members.length === leases.length ? createRoundSet(this.#modules.ledger.job, members) : undefined;
  }

  get #round(): RoundSet | undefined {
    const { set } = this.#modules.ledger.state;
    return set === null ? undefined : this.#createRound(set);
  }

  get #roundOptions() {
    const { roundTimeoutMs, parameters, signal } = this.#options;
    return { timeoutMs: roundTimeoutMs, awayMs: parameters.leaseDurationMs, signal };
  }

  /** Nobody can be put in its place any more: who cannot be reached is waited for as long as it keeps its result. */
  #describePatience({ attempt }: Member) {
    const leftMs = this.#options.job.value.deadlineMs - this.#modules.clock.nowMs();
    const { awayMs, ...round } = this.#roundOptions;
    return { ...round, awayMs: Math.min(leftMs, Math.max(awayMs, attempt.acceptance?.resultsKeptForMs ?? 0)) };
  }

  /** Gets every member's signature; who does not give it is out, which voids the set. */
  async signSet(): Promise<void> {
    const round = this.#round;
    if (round === undefined) return;
    const bound = await Promise.all(round.members.map((member) => this.#signMember(round, member)));
    if (bound.some(Boolean)) await this.#voidMembers(round);
    if (this.#round?.id !== round.id) return;
    await this.#apply(
      { kind: 'reveal-begun', atMs: this.#now() },
      {
        objects: round.members.flatMap(({ attempt }) =>
          attempt.setSignature === null
            ? []
            : [{ lease: attempt.id, kind: 'set-signature' as const, wire: attempt.setSignature }],
        ),
      },
    );
  }

  /** True if the member is bound to an earlier set, which another member voided, and signs no second one. */
  async #signMember(round: RoundSet, member: Member): Promise<boolean> {
    const { attempt } = member;
    // Its signature over an earlier set may have been lost, with a process that died before it was on disk.
    const wasInEarlierSet = (findAttempt(this.#modules.ledger.state, attempt.id)?.fixedSets ?? 0) > 1;
    const hasSignedBefore = attempt.setSignature !== null || wasInEarlierSet;
    const checked = await askSetSignature(this.#modules, { round, member }, this.#roundOptions);
    if (checked.kind === 'valid') {
      attempt.setSignature = checked.value;
      return false;
    }
    if (hasSignedBefore && checked.code === 'LEASE_MISMATCH') return true;
    await this.#fail(attempt, checked, true);
    return false;
  }

  /** Nobody's fault, but bound members can never share a set with new ones: all run again under new leases. */
  async #voidMembers(round: RoundSet): Promise<void> {
    const reason = 'its set of commitments was voided by another member';
    const standing = round.members.filter((member) => this.#isCommitted(member));
    await Promise.all(standing.map(({ attempt }) => this.#fail(attempt, { code: 'SET_VOID', reason }, false)));
  }

  /** Resolves when all have revealed or failed, or soon after a quorum of equal results. */
  async reveal(): Promise<void> {
    const round = this.#round;
    if (round === undefined) return;
    const setSignatures = round.members.flatMap(({ attempt }) => attempt.setSignature ?? []);
    const quorum = Promise.withResolvers<void>();
    const all = Promise.all(
      round.members.map(async (member) => {
        if (!this.#isCommitted(member)) return;
        await this.#revealMember(round, member, setSignatures);
        if (this.#hasQuorum) quorum.resolve();
      }),
    );
    if (this.#hasQuorum) quorum.resolve();
    const { clock } = this.#modules;
    const grace = quorum.promise.then(() => sleep(clock, this.#options.revealGraceMs, this.#options.signal));
    // Those that come after the grace are not waited for; what becomes of them matters to nobody.
    all.catch(() => undefined);
    grace.catch(() => undefined);
    await Promise.race([all, grace]);
  }

  get #hasQuorum(): boolean {
    const { state } = this.#modules.ledger;
    return (tallyResults(state).best?.attempts.length ?? 0) >= state.facts.quorum;
  }

  #isCommitted({ attempt }: Member): boolean {
    return findAttempt(this.#modules.ledger.state, attempt.id)?.state === 'committed';
  }

  async #revealMember(
    round: RoundSet,
    member: Member,
    setSignatures: readonly NonNullable<AttemptCase['setSignature']>[],
  ): Promise<void> {
    const { attempt } = member;
    const current = findAttempt(this.#modules.ledger.state, attempt.id);
    const instrumenter = current?.instrumenter ?? '';
    const attested = expectAttestation(current, attempt);
    const request = { job: this.#options.job, round, member, setSignatures, instrumenter, attested };
    const checked = await askReveal(this.#modules, request, this.#describePatience(member));
    if (checked.kind === 'invalid') return this.#fail(attempt, checked, true);
    const { receipt, inlineBlobs } = checked.value;
    attempt.receipt = receipt;
    attempt.inlineBlobs = inlineBlobs;
    // No replica can be made again after the first reveal: its files are on disk before its result is.
    await storeInlineOutputs(this.#modules.blobs, receipt.value.result.outputs, inlineBlobs);
    await this.#apply(
      { kind: 'revealed', atMs: this.#now(), lease: attempt.id, outputRoot: receipt.value.outputRoot },
      { objects: [{ lease: attempt.id, kind: 'receipt', wire: receipt.wire }] },
    );
  }

  #fail(
    attempt: AttemptCase,
    fault: { readonly code: string; readonly reason: string },
    isCounted: boolean,
  ): Promise<void> {
    const { code, reason } = fault;
    if (isCounted) this.#modules.metrics.peerFaults.increment({ code });
    return this.#apply({ kind: 'attempt-failed', atMs: this.#now(), lease: attempt.id, code, reason, isCounted });
  }

  async #apply(event: JobMachineEvent, extras: LedgerExtras = {}): Promise<void> {
    const applied = this.#modules.ledger.apply(event, extras);
    if (applied.kind === 'rejected') return;
    this.#modules.onChange();
    await applied.persisted;
  }

  #now(): UnixMs {
    return UnixMs(this.#modules.clock.nowMs());
  }
}
