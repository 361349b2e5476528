import { createDeadline, raceSignal } from '../../../lib/abort.ts';
import { InternalError } from '../../../lib/errors.ts';
import { TeeError } from '../../errors.ts';
import type { EvidenceOrder, EvidenceProducer, ProducedEvidence } from '../../interface.ts';
import { MAX_WAITING, PRODUCE_TIMEOUT_MS, REPORT_DATA_BYTES } from '../constants.ts';
import type { Endorser, GpuCollector, HardwareKind, ReportSource } from '../interface.ts';
import { SerialQueue } from '../serial-queue.ts';
import { assertCarries } from './assert-carries.ts';

export interface HardwareProducerModules {
  readonly source: ReportSource;
  readonly endorser: Endorser;
  /** Null: there are no GPUs that could show evidence. */
  readonly gpus: GpuCollector | null;
}

/** A report of the hardware, what its vendor says of it, and if asked the evidence of the GPUs. */
export class HardwareProducer implements EvidenceProducer {
  readonly kind: HardwareKind;
  readonly hasGpus: boolean;
  readonly #modules: HardwareProducerModules;
  readonly #queue: SerialQueue;
  readonly #timeoutMs: number;

  constructor(modules: HardwareProducerModules, options: { readonly timeoutMs?: number } = {}) {
    this.kind = modules.source.kind;
    this.hasGpus = modules.gpus !== null;
    this.#modules = modules;
    this.#queue = new SerialQueue({ what: modules.source.what, maxWaiting: MAX_WAITING });
    this.#timeoutMs = options.timeoutMs ?? PRODUCE_TIMEOUT_MS;
  }

  async produce(order: EvidenceOrder): Promise<ProducedEvidence> {
    const { what } = this.#modules.source;
    if (order.reportData.length !== REPORT_DATA_BYTES) throw new InternalError('report data has 64 bytes');
    using deadline = createDeadline(this.#timeoutMs, order.signal);
    const stopped = new AbortController();
    const signal = AbortSignal.any([deadline.signal, stopped.signal]);
    try {
      return await raceSignal(this.#make(order, signal), deadline.signal);
    } catch (error) {
      order.signal.throwIfAborted();
      if (!deadline.signal.aborted) throw error;
      const reason = `nothing came within ${this.#timeoutMs / 1_000} s`;
      throw new TeeError({ code: 'TEE_BUSY', what, reason }, { cause: error });
    } finally {
      // One part has failed: the command of the GPUs and fetches that go on would be for nobody.
      stopped.abort();
    }
  }

  async #make({ reportData, gpuNonce }: EvidenceOrder, signal: AbortSignal): Promise<ProducedEvidence> {
    // Before the hardware is asked: what cannot be answered in full is not begun.
    const gpuEvidence = gpuNonce === null ? null : this.#requireGpus().collect(gpuNonce, { signal });
    const [endorsed, gpus] = await Promise.all([this.#endorse(reportData, signal), gpuEvidence]);
    return { kind: this.kind, ...endorsed, gpus };
  }

  /** The queue goes on only once the hardware has answered, also if nobody waits for it any longer. */
  async #endorse(
    reportData: Uint8Array,
    signal: AbortSignal,
  ): Promise<Pick<ProducedEvidence, 'report' | 'certificates' | 'collateral'>> {
    const { source, endorser } = this.#modules;
    const raw = await this.#queue.run(() => source.readReport(reportData), signal);
    const { what } = source;
    assertCarries({ what, kind: this.kind, report: raw.report }, reportData);
    return { report: raw.report, ...(await endorser.endorse(this.kind, raw, { signal })) };
  }

  #requireGpus(): GpuCollector {
    const { gpus } = this.#modules;
    if (gpus !== null) return gpus;
    const reason = 'it has no GPUs that can show evidence';
    throw new TeeError({ code: 'TEE_PRODUCE_FAILED', what: 'this machine', reason });
  }
}
