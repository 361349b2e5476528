import type { PeerKey } from '../../../domain/ids.ts';
import { MAX_KNOWN_PAIRS } from '../../../domain/messages.ts';
import type { Random } from '../../../lib/random.ts';
import type { KnownCandidate, NeighbourLinks } from '../ports.ts';

export interface CrossCheckModules {
  readonly links: Pick<NeighbourLinks, 'request' | 'isConnected'>;
  readonly random: Random;
}

/**
 * A candidate that one source alone told of may have been made up for this node: a few neighbours are asked whether they
 * know that pair of peer and key. At least half of those that answer must. It does not stop an attacker that registers
 * its keys with everybody, nor one that holds most of the neighbours already.
 */
export class CrossCheck {
  readonly #modules: CrossCheckModules;
  readonly #options: { readonly crossCheckPeers: number };

  constructor(modules: CrossCheckModules, options: { readonly crossCheckPeers: number }) {
    this.#modules = modules;
    this.#options = options;
  }

  /** Those of the candidates that others do not know; none where nobody can be asked. */
  async findUnknown(
    candidates: readonly KnownCandidate[],
    neighbours: readonly PeerKey[],
    signal: AbortSignal,
  ): Promise<ReadonlySet<PeerKey>> {
    const doubted = candidates.filter(({ isConfirmed }) => !isConfirmed).slice(0, MAX_KNOWN_PAIRS);
    const asked = this.#pick(neighbours.filter((peer) => this.#modules.links.isConnected(peer)));
    if (doubted.length === 0 || asked.length === 0) return new Set();
    const pairs = doubted.map(({ candidate, vrfPublicKey }) => ({ peer: candidate.peer, vrfPublicKey }));
    const answers = (await Promise.all(asked.map((peer) => this.#ask(peer, pairs, signal)))).filter(
      (answer) => answer !== null,
    );
    const unknown = pairs.filter((_pair, index) => {
      const knowing = answers.filter((since) => since[index] !== null).length;
      return knowing * 2 < answers.length;
    });
    return new Set(unknown.map(({ peer }) => peer));
  }

  /** One answer for each pair; null if there is none that counts. */
  async #ask(
    peer: PeerKey,
    pairs: readonly { readonly peer: PeerKey; readonly vrfPublicKey: Uint8Array }[],
    signal: AbortSignal,
  ): Promise<readonly (number | null)[] | null> {
    try {
      const response = await this.#modules.links.request(peer, { op: 'known', pairs: [...pairs] }, { signal });
      return response.kind === 'known' && response.since.length === pairs.length ? response.since : null;
    } catch {
      return null;
    }
  }

  #pick(peers: readonly PeerKey[]): readonly PeerKey[] {
    const rest = [...peers];
    const picked: PeerKey[] = [];
    while (picked.length < this.#options.crossCheckPeers && rest.length > 0) {
      const [byte = 0] = this.#modules.random.bytes(1);
      picked.push(...rest.splice(byte % rest.length, 1));
    }
    return picked;
  }
}
