import { SystemRandom } from '../../src/lib/random.ts';
import { Ledger } from '../../src/localnet/ledger/ledger.ts';
import { openLedger } from '../../src/localnet/ledger/open-ledger.ts';
import type { ChainStore } from '../../src/localnet/store/interface.ts';
import { NoopLogger } from '../../src/telemetry/noop-logger.ts';
import { ManualClock } from './manual-clock.ts';

/** A local chain without sockets, whose slots pass when a test says so. */
export async function openTestLedger(store: ChainStore): Promise<Ledger> {
  const clock = new ManualClock();
  const limits = { directory: 'memory', maxTransactions: 100, maxEmptyBlocks: 1_000, programs: [], accounts: [] };
  const state = await openLedger({ store, clock, random: new SystemRandom() }, limits);
  const ledger = new Ledger(
    { state, clock, logger: new NoopLogger() },
    { slotMs: 400, confirmedLag: 1, finalizedLag: 2 },
  );
  for (let count = 0; count < 3; count += 1) await ledger.advance();
  return ledger;
}
