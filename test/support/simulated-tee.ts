import { UnixMs } from '../../src/domain/ids.ts';
import { SystemRandom } from '../../src/lib/random.ts';
import { createConfidentiality } from '../../src/tee/confidentiality.ts';
import { NodeEvidenceCrypto } from '../../src/tee/crypto/node-evidence-crypto.ts';
import type { Confidentiality, EvidenceOrder, EvidenceProducer, ProducedEvidence } from '../../src/tee/interface.ts';
import {
  computeSimulatedRoot,
  createSimulatedKey,
  signAsSimulatedRoot,
} from '../../src/tee/produce/simulated/key-file.ts';
import { encodeSimulatedReport } from '../../src/tee/simulated/report.ts';

const random = new SystemRandom();

/** The simulated environment of a test network, its key in memory. A test may hold it up, or let it fail. */
export class TestTee implements EvidenceProducer {
  readonly kind = 'simulated';
  hasGpus = false;
  readonly orders: EvidenceOrder[] = [];
  /** Called before each report; a rejection is the producer's. */
  before: (order: EvidenceOrder) => Promise<void> = () => Promise.resolve();
  readonly #key = createSimulatedKey(random);

  /** With the root of this environment as the network's. */
  createConfidentiality(): Confidentiality {
    const modules = { crypto: new NodeEvidenceCrypto(), random };
    return createConfidentiality(modules, { simulatedRoot: computeSimulatedRoot(this.#key) });
  }

  get root(): Uint8Array {
    return computeSimulatedRoot(this.#key);
  }

  /** Accepts this environment alone. */
  get policy(): string {
    return JSON.stringify({ simulated: { measurements: [Buffer.from(this.#key.measurement).toString('hex')] } });
  }

  async produce(order: EvidenceOrder): Promise<ProducedEvidence> {
    this.orders.push(order);
    await this.before(order);
    const { measurement } = this.#key;
    const statement = {
      type: 'fogproof/simulated-report@1' as const,
      measurement,
      reportData: order.reportData,
      signedAtMs: UnixMs(1),
    };
    const report = encodeSimulatedReport(statement, (message) => signAsSimulatedRoot(this.#key, message));
    return { kind: 'simulated', report, certificates: [], collateral: null, gpus: null };
  }
}
