import { sha256 } from '../../lib/cid.ts';
import { readSignedPayload } from '../../proofs/signed-object.ts';
import type { HandlerModules, MethodHandlers } from './handlers.ts';

export function createAnchorHandlers(
  modules: HandlerModules,
): MethodHandlers<'anchor.list' | 'anchor.flush' | 'anchor.verify'> {
  const { chain, requester } = modules;
  return {
    'anchor.list': async ({ limit }) => ({ anchors: await chain.listAnchors(limit) }),
    'anchor.flush': async (_, { signal }) => ({ anchor: await chain.flushAnchors({ signal }) }),
    'anchor.verify': async ({ job }, { signal }) => {
      const { attempts } = await requester.evidence(job);
      const digests = attempts.map(({ receipt }) => sha256(readSignedPayload(receipt)));
      return { checks: await chain.verifyAnchors(digests, { signal }) };
    },
  };
}
