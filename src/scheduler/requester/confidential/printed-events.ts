import type { LeaseId } from '../../../domain/ids.ts';
import type { AttemptEvent } from '../../../domain/messages.ts';
import { TeeError } from '../../../tee/errors.ts';
import type { Confidentiality, JobSecrets, PlainEvent } from '../../../tee/interface.ts';
import { type Checked, invalid, valid } from '../checked.ts';

/** Log lines and metrics of an attempt, sealed or not. */
export type PrintedEvent = Extract<AttemptEvent, { readonly kind: 'log' | 'metric' | 'sealed' }>;

export function isPrinted(event: AttemptEvent): event is PrintedEvent {
  return event.kind === 'log' || event.kind === 'metric' || event.kind === 'sealed';
}

/** Reads what one attempt prints. */
export interface PrintedEvents {
  read(event: PrintedEvent): Promise<Checked<PlainEvent>> | Checked<PlainEvent>;
}

export const PLAIN_EVENTS: PrintedEvents = {
  read: (event) =>
    event.kind === 'sealed'
      ? invalid('UNEXPECTED_ANSWER', 'it sealed events of a job that is not confidential')
      : valid(event),
};

/** Those of a confidential attempt: opened, each once and in order. */
export class SealedEvents implements PrintedEvents {
  readonly #confidentiality: Pick<Confidentiality, 'openEvent'>;
  readonly #key: { readonly contentKey: Uint8Array; readonly lease: LeaseId };
  #lastIndex = 0;

  constructor(
    modules: { readonly confidentiality: Pick<Confidentiality, 'openEvent'> },
    options: { readonly secrets: JobSecrets; readonly lease: LeaseId },
  ) {
    this.#confidentiality = modules.confidentiality;
    this.#key = { contentKey: options.secrets.contentKey, lease: options.lease };
  }

  async read(event: PrintedEvent): Promise<Checked<PlainEvent>> {
    if (event.kind !== 'sealed') return invalid('UNSEALED_EVENT', 'it sent in plain what it has to seal');
    if (event.index <= this.#lastIndex) {
      return invalid('BAD_SEALED_EVENT', `sealed event ${event.index} came after ${this.#lastIndex}`);
    }
    try {
      const plain = await this.#confidentiality.openEvent(event, this.#key);
      this.#lastIndex = event.index;
      return valid(plain);
    } catch (error) {
      if (!(error instanceof TeeError)) throw error;
      return invalid('BAD_SEALED_EVENT', error.message);
    }
  }
}
