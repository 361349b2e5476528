import type { HandlerModules, MethodHandlers } from './handlers.ts';

export function createAnchorHandlers({ chain }: HandlerModules): MethodHandlers<'anchor.list' | 'anchor.flush'> {
  return {
    'anchor.list': async ({ limit }) => ({ anchors: await chain.listAnchors(limit) }),
    'anchor.flush': async (_, { signal }) => ({ anchor: await chain.flushAnchors({ signal }) }),
  };
}
