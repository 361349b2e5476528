import type { AnchorReader, AnchorReading } from '../../bundle/interface.ts';
import type { Anchor } from '../../domain/anchor.ts';
import { BlockHash, type Cluster, encodeBase58, identifyCluster } from '../../domain/chain.ts';
import { createDeadline } from '../../lib/abort.ts';
import { describeError } from '../../lib/errors.ts';
import { ANCHOR_READING_MS, MAX_READ_CHAINS } from './constants.ts';
import { type AnchorEndpoint, askEndpoint } from './reading/ask-endpoint.ts';
import { type EndpointFindings, unchecked } from './reading/finding.ts';
import { mergeFindings } from './reading/merge-findings.ts';

export interface SolanaAnchorReaderModules {
  /**
   * A reader for each endpoint, each asking that one alone and expecting `genesis`. Called once for each chain that an
   * anchor names; whoever gives them closes them.
   */
  readonly openEndpoints: (genesis: BlockHash) => readonly AnchorEndpoint[];
}

/** Asks endpoints whether an anchor is on its chain, all of them each time. */
export class SolanaAnchorReader implements AnchorReader {
  readonly #modules: SolanaAnchorReaderModules;
  readonly #endpoints = new Map<BlockHash, readonly AnchorEndpoint[]>();

  constructor(modules: SolanaAnchorReaderModules) {
    this.#modules = modules;
  }

  async readAnchor(anchor: Anchor, { signal }: { readonly signal: AbortSignal }): Promise<AnchorReading> {
    const cluster = identifyCluster(BlockHash(encodeBase58(anchor.genesis)));
    const endpoints = this.#open(cluster.genesis);
    const findings = await Promise.all(endpoints.map((endpoint) => ask(anchor, endpoint, signal)));
    const times = new Set(findings.flatMap(({ blockTimeMs }) => blockTimeMs ?? []));
    const [blockTimeMs = null] = times;
    return {
      chain: describeChain(cluster),
      askedEndpoints: endpoints.map(({ url }) => url),
      // A time that two endpoints tell differently is none.
      blockTimeMs: times.size === 1 ? blockTimeMs : null,
      checks: mergeFindings(findings),
    };
  }

  #open(genesis: BlockHash): readonly AnchorEndpoint[] {
    const known = this.#endpoints.get(genesis);
    // Whoever made the anchors chose how many chains they name.
    if (known !== undefined || this.#endpoints.size >= MAX_READ_CHAINS) return known ?? [];
    const endpoints = this.#modules.openEndpoints(genesis);
    this.#endpoints.set(genesis, endpoints);
    return endpoints;
  }
}

/** An endpoint that stalls keeps the others waiting no longer than its deadline. */
async function ask(anchor: Anchor, endpoint: AnchorEndpoint, signal: AbortSignal): Promise<EndpointFindings> {
  using deadline = createDeadline(ANCHOR_READING_MS, signal);
  try {
    return await askEndpoint(anchor, endpoint, { signal: deadline.signal });
  } catch (error) {
    signal.throwIfAborted();
    const finding = unchecked('what the endpoint says', `an answer: ${describeError(error)}`);
    return { url: endpoint.url, blockTimeMs: null, findings: { genesis: finding } };
  }
}

function describeChain({ name, genesis }: Cluster): string {
  return name === null ? `a chain with genesis ${genesis}, which is no public cluster` : `Solana ${name}`;
}
