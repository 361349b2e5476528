import type { HandlerModules, MethodHandlers, SubscriptionHandlers } from './handlers.ts';

export function createNodeHandlers(
  modules: HandlerModules,
): MethodHandlers<
  'node.status' | 'node.stop' | 'node.drain' | 'node.resume' | 'node.panic' | 'node.whyNoWork' | 'node.metrics'
> {
  const { node, operator, provider } = modules;
  return {
    'node.status': () => node.status(),
    'node.stop': ({ drain }) => {
      node.stop({ drain });
      return { isStopping: true };
    },
    'node.drain': async () => {
      await operator.drain();
      return { provider: provider.status() };
    },
    'node.resume': async () => {
      await operator.resume();
      return { provider: provider.status() };
    },
    'node.panic': () => operator.panic(),
    'node.whyNoWork': () => provider.explainNoWork(),
    'node.metrics': async () => ({ text: await node.renderMetrics() }),
  };
}

export function createNodeSubscriptions({ backups }: HandlerModules): SubscriptionHandlers<'node.backup'> {
  return { 'node.backup': ({ path, blobs }, signal) => backups.create({ path, hasBlobs: blobs }, signal) };
}
