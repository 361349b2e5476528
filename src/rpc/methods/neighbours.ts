import type { HandlerModules, MethodHandlers } from './handlers.ts';

export function createNeighboursHandlers({
  network,
}: HandlerModules): MethodHandlers<'neighbours.list' | 'neighbours.verify'> {
  return {
    'neighbours.list': () => network.neighbours.status(),
    'neighbours.verify': async ({ peer }, { signal }) => ({
      checks: await network.neighbours.verify(peer, { signal }),
    }),
  };
}
