import type { NodeConfig } from '../config/schema.ts';
import { encodeHex } from '../lib/bytes.ts';
import { encodeCanonical } from '../lib/canonical-cbor.ts';
import { sha256 } from '../lib/cid.ts';
import type { Clock } from '../lib/clock.ts';
import { VERSION } from '../lib/version.ts';
import type { OperatorControl, PanicReport } from '../rpc/interface.ts';
import type { ProviderService } from '../scheduler/interface.ts';
import { STRING_CODEC } from '../storage/codecs.ts';
import type { Database, Repository } from '../storage/interface.ts';
import type { AuditTrail, Logger } from '../telemetry/interface.ts';
import { findDescendants, killDescendants, listProcesses } from './descendant-processes.ts';

export interface OperatorDeskModules {
  readonly provider: ProviderService;
  readonly audit: AuditTrail;
  readonly database: Database;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** How long a panic may take until it says what is left, ms: design section 6 asks for less than 2 s. */
const PANIC_TIMEOUT_MS = 5_000;
const POLICY_KEY = 'policy';

/** What the operator says while the node runs; all of it is in the audit log, on disk, before it is answered. */
export class OperatorDesk implements OperatorControl, AsyncDisposable {
  readonly #modules: OperatorDeskModules;
  readonly #policy: string;
  readonly #known: Repository<string>;
  #isStarted = false;

  constructor(modules: OperatorDeskModules, config: Pick<NodeConfig, 'policy' | 'provide'>) {
    this.#modules = modules;
    this.#policy = hashPolicy(config);
    this.#known = modules.database.repository('operator-policy', STRING_CODEC);
  }

  /** Once the provider is started: says which policy holds, and whether it is another than before. */
  async start(): Promise<void> {
    const { audit, provider } = this.#modules;
    const before = (await this.#known.get(POLICY_KEY)) ?? null;
    const work = provider.status().closed?.reason ?? 'open';
    audit.note({ kind: 'start', version: VERSION, policy: this.#policy, work });
    this.#isStarted = true;
    if (before === this.#policy) return;
    audit.note({ kind: 'policy', before, after: this.#policy });
    await this.#known.put(POLICY_KEY, this.#policy);
  }

  async drain(): Promise<void> {
    const { audit, provider, logger } = this.#modules;
    audit.note({ kind: 'drain' });
    await provider.close();
    logger.info({}, 'drained: no new work is taken');
    await audit.flush();
  }

  async resume(): Promise<void> {
    const { audit, provider, logger } = this.#modules;
    audit.note({ kind: 'resume' });
    await provider.open();
    logger.info({}, 'new work is taken again');
    await audit.flush();
  }

  async panic(): Promise<PanicReport> {
    const { audit, provider, clock, logger } = this.#modules;
    const beganAtMs = clock.monotonicMs();
    const signal = AbortSignal.timeout(PANIC_TIMEOUT_MS);
    audit.note({ kind: 'panic', attempts: provider.status().attempts.length });
    // Before any of them ends: a child of one that has ended is nobody's.
    const processes = findDescendants(listProcesses(), process.pid);
    const ending = provider.panic({ signal });
    const { killed, left } = await killDescendants(processes, { clock, signal });
    const elapsedMs = Math.round(clock.monotonicMs() - beganAtMs);
    const attempts = await ending;
    const report = { attempts, processes: killed, left, elapsedMs };
    audit.note({ kind: 'panic-done', ...report });
    logger.warn(report, 'panic: all work was stopped, and no new work is taken');
    await audit.flush();
    return report;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#isStarted) return;
    this.#modules.audit.note({ kind: 'stop' });
    await this.#modules.audit.flush();
  }
}

/** Of all that decides who is let in. Lists in another order are another policy. */
export function hashPolicy({ policy, provide }: Pick<NodeConfig, 'policy' | 'provide'>): string {
  const { allowRequesters, trustedRequesters } = provide;
  return encodeHex(sha256(encodeCanonical({ ...policy, allowRequesters, trustedRequesters })));
}
