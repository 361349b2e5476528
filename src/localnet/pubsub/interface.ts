import type { ExecutedTransaction } from '../ledger/interface.ts';
import type { Ledger } from '../ledger/ledger.ts';

/** What a subscription hears, and reacts to by calling what it was given as `emit`. */
export interface Subscription {
  readonly onTransaction?: (transaction: ExecutedTransaction) => void;
  readonly onSlot?: (slot: number) => void;
  readonly onCommitment?: (commitment: 'confirmed' | 'finalized', slot: number) => void;
  /** Called once, when the client knows its number. */
  readonly onReady?: () => void;
}

export interface SubscriptionOutlet {
  emit(result: unknown): void;
  /** It is over by itself. */
  end(): void;
}

export interface SubscriptionKind {
  /** `account`, of accountSubscribe, accountUnsubscribe and accountNotification. */
  readonly name: string;
  create(params: unknown, ledger: Ledger, outlet: SubscriptionOutlet): Subscription;
}
