import type { PeerKey } from '../../../domain/ids.ts';
import {
  MAX_OPEN_GIVES_PER_REQUESTER,
  MAX_OPEN_GIVES_TO_STRANGER,
  MAX_WAITING_ANNOUNCEMENTS,
  STRANGERS_WAITING_SHARE,
} from './constants.ts';

/**
 * How many announcements wait for their time. Of one requester no more than offers could be given to it, and of strangers
 * together no more than a share, so that nobody crowds out those who take what they are given.
 */
export class WaitingRoom {
  readonly #byRequester = new Map<PeerKey, number>();
  #waiting = 0;
  #strangers = 0;

  /** The place of one more, to be left when its time has come; null if there is none. */
  enter(requester: PeerKey, kind: 'stranger' | 'familiar'): Disposable | null {
    const isStranger = kind === 'stranger';
    const own = this.#byRequester.get(requester) ?? 0;
    if (own >= (isStranger ? MAX_OPEN_GIVES_TO_STRANGER : MAX_OPEN_GIVES_PER_REQUESTER)) return null;
    if (this.#waiting >= MAX_WAITING_ANNOUNCEMENTS) return null;
    if (isStranger && this.#strangers >= MAX_WAITING_ANNOUNCEMENTS * STRANGERS_WAITING_SHARE) return null;
    this.#count(requester, isStranger, 1);
    return { [Symbol.dispose]: () => this.#count(requester, isStranger, -1) };
  }

  #count(requester: PeerKey, isStranger: boolean, by: number): void {
    const own = (this.#byRequester.get(requester) ?? 0) + by;
    if (own > 0) this.#byRequester.set(requester, own);
    else this.#byRequester.delete(requester);
    this.#waiting += by;
    if (isStranger) this.#strangers += by;
  }
}
