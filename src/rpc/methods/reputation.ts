import type { HandlerModules, MethodHandlers } from './handlers.ts';

export function createReputationHandlers({
  reputation,
}: HandlerModules): MethodHandlers<'reputation.show' | 'reputation.list'> {
  return {
    'reputation.show': async ({ peer, role, why }) => {
      const subject = peer ?? reputation.self;
      return {
        report: await reputation.show(subject, role),
        observations: why === 0 ? [] : await reputation.explain(subject, role, why),
      };
    },
    'reputation.list': async ({ role, limit }) => ({ peers: await reputation.list(role, limit) }),
  };
}
