import { UnixMs } from '../../../domain/ids.ts';
import type { Clock } from '../../../lib/clock.ts';
import { TeeError } from '../../errors.ts';
import type { EvidenceOrder, EvidenceProducer, ProducedEvidence } from '../../interface.ts';
import { encodeSimulatedReport } from '../../simulated/report.ts';
import { readSimulatedKey, signAsSimulatedRoot } from './key-file.ts';

/** SIMULATED, no hardware: signs with the key file of a test network. Nothing is protected from the machine's owner. */
export class SimulatedProducer implements EvidenceProducer {
  readonly kind = 'simulated';
  readonly hasGpus = false;
  readonly #clock: Clock;
  readonly #keyFile: string;

  constructor(modules: { readonly clock: Clock }, options: { readonly keyFile: string }) {
    this.#clock = modules.clock;
    this.#keyFile = options.keyFile;
  }

  async produce({ reportData, gpuNonce, signal }: EvidenceOrder): Promise<ProducedEvidence> {
    signal.throwIfAborted();
    if (gpuNonce !== null) {
      throw new TeeError({ code: 'TEE_PRODUCE_FAILED', what: 'the SIMULATED TEE', reason: 'it has no GPUs' });
    }
    const key = await readSimulatedKey(this.#keyFile);
    const statement = {
      type: 'fogproof/simulated-report@1' as const,
      measurement: key.measurement,
      reportData,
      signedAtMs: UnixMs(this.#clock.nowMs()),
    };
    const report = encodeSimulatedReport(statement, (message) => signAsSimulatedRoot(key, message));
    key.seed.fill(0);
    return { kind: 'simulated', report, certificates: [], collateral: null, gpus: null };
  }
}
