import type { NetworkDefinition } from '../domain/network-definition.ts';
import type { Clock } from '../lib/clock.ts';
import type { Network } from '../network/interface.ts';
import type { EnvelopeSigner } from '../proofs/interface.ts';
import { LedgerReputation } from '../reputation/ledger-reputation.ts';
import { REPUTATION_DEFAULTS } from '../reputation/options.ts';
import { OBSERVATION_OUTBOX_DEFAULTS, ObservationOutbox } from '../scheduler/observation-outbox.ts';
import { RATING_OUTBOX_DEFAULTS, RatingOutbox } from '../scheduler/rating-outbox.ts';
import type { Database } from '../storage/interface.ts';
import type { Logger, MetricsRegistry } from '../telemetry/interface.ts';

/** Observations are published at least so often in an epoch, however short it is. */
const FLUSHES_PER_EPOCH = 12;

export interface ReputationPartsModules {
  readonly identity: EnvelopeSigner;
  readonly database: Database;
  readonly network: Pick<Network, 'observations'>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: MetricsRegistry;
}

type EpochParameters = Pick<NetworkDefinition['parameters'], 'beaconRoundMs' | 'epochRounds'>;

/** What this daemon makes of others, and what it says of them. */
export interface ReputationParts extends AsyncDisposable {
  readonly reputation: LedgerReputation;
  /** For requester and provider. */
  readonly attemptNotes: ObservationOutbox;
  readonly ratings: RatingOutbox;
  /** The network runs. */
  start(): void;
}

export function createReputationParts(
  modules: ReputationPartsModules,
  { id, parameters }: Pick<NetworkDefinition, 'id'> & { readonly parameters: EpochParameters },
): ReputationParts {
  const epochMs = parameters.beaconRoundMs * parameters.epochRounds;
  const reputation = new LedgerReputation(modules, { ...REPUTATION_DEFAULTS, networkId: id, epochMs });
  const flushMs = Math.min(OBSERVATION_OUTBOX_DEFAULTS.flushMs, epochMs / FLUSHES_PER_EPOCH);
  const attemptNotes = new ObservationOutbox({ ...modules, sink: reputation }, { flushMs });
  const ratings = new RatingOutbox({ ...modules, sink: reputation }, { ...RATING_OUTBOX_DEFAULTS, flushMs });
  let serving: Disposable | undefined;
  return {
    reputation,
    attemptNotes,
    ratings,
    start: () => {
      reputation.start(modules.network.observations);
      serving = modules.network.observations.serve(reputation);
      attemptNotes.start();
      ratings.start();
    },
    [Symbol.asyncDispose]: async () => {
      serving?.[Symbol.dispose]();
      await Promise.all([attemptNotes.stop(), ratings.stop()]);
      await reputation.stop();
    },
  };
}
