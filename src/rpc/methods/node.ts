import type { HandlerModules, MethodHandlers, SubscriptionHandlers } from './handlers.ts';

export function createNodeHandlers(
  modules: HandlerModules,
): MethodHandlers<'node.status' | 'node.stop' | 'node.whyNoWork' | 'node.metrics'> {
  const { node, provider } = modules;
  return {
    'node.status': () => node.status(),
    'node.stop': ({ drain }) => {
      node.stop({ drain });
      return { isStopping: true };
    },
    'node.whyNoWork': () => provider.explainNoWork(),
    'node.metrics': async () => ({ text: await node.renderMetrics() }),
  };
}

export function createNodeSubscriptions({ backups }: HandlerModules): SubscriptionHandlers<'node.backup'> {
  return { 'node.backup': ({ path, blobs }, signal) => backups.create({ path, hasBlobs: blobs }, signal) };
}
