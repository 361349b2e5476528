import type { PeerKey } from '../domain/ids.ts';
import type { OfferAsk, OfferGive, OfferResponse } from '../domain/messages.ts';
import type { PeerTransport } from '../network/interface.ts';

type Answer<Request> = (peer: PeerKey, request: Request) => Promise<OfferResponse>;

interface Desks {
  ask: Answer<OfferAsk> | undefined;
  give: Answer<OfferGive> | undefined;
}

/**
 * The one handler of the `offer` protocol of a node: what is asked goes to its provider, what is given to its requester.
 * It answers as long as there is either.
 */
export class OfferRouter {
  readonly #transport: Pick<PeerTransport, 'handle'>;
  readonly #desks: Desks = { ask: undefined, give: undefined };
  #handler: Disposable | undefined;

  constructor(transport: Pick<PeerTransport, 'handle'>) {
    this.#transport = transport;
  }

  answerAsks(answer: Answer<OfferAsk>): Disposable {
    return this.#enter('ask', answer);
  }

  answerGives(answer: Answer<OfferGive>): Disposable {
    return this.#enter('give', answer);
  }

  #enter<Op extends keyof Desks>(op: Op, answer: Desks[Op]): Disposable {
    this.#desks[op] = answer;
    this.#handler ??= this.#listen();
    return {
      [Symbol.dispose]: () => {
        if (this.#desks[op] !== answer) return;
        this.#desks[op] = undefined;
        if (this.#desks.ask !== undefined || this.#desks.give !== undefined) return;
        this.#handler?.[Symbol.dispose]();
        this.#handler = undefined;
      },
    };
  }

  #listen(): Disposable {
    const desks = this.#desks;
    return this.#transport.handle('offer', async function* (request, { peer }): AsyncGenerator<OfferResponse> {
      if (request.op === 'ask') yield desks.ask === undefined ? NO_PROVIDER : await desks.ask(peer, request);
      else yield desks.give === undefined ? UNWANTED : await desks.give(peer, request);
    });
  }
}

const NO_PROVIDER: OfferResponse = {
  kind: 'refused',
  refusal: { code: 'EXECUTOR_UNAVAILABLE', detail: 'this node takes no jobs' },
};

/** What nobody looks for here. */
export const UNWANTED: OfferResponse = { kind: 'noted', isWanted: false };
