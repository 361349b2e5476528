import type { HandlerModules, MethodHandlers, SubscriptionHandlers } from './handlers.ts';

type BatchMethod = 'batch.open' | 'batch.submit' | 'batch.show' | 'batch.list' | 'batch.jobs' | 'batch.cancel';

export function createBatchHandlers({ requester: { batches } }: HandlerModules): MethodHandlers<BatchMethod> {
  return {
    'batch.open': (given) => batches.open(given),
    'batch.submit': async ({ batch, jobs }) => ({ jobs: await batches.submit(batch, jobs) }),
    'batch.show': ({ batch }) => batches.show(batch),
    'batch.list': async (filter) => ({ batches: await batches.list(filter) }),
    'batch.jobs': async ({ batch, ...page }) => ({ jobs: await batches.jobs(batch, page) }),
    'batch.cancel': ({ batch }) => batches.cancel(batch),
  };
}

export function createBatchSubscriptions({
  requester: { batches },
}: HandlerModules): SubscriptionHandlers<'batch.subscribe'> {
  return { 'batch.subscribe': ({ batch }, signal) => batches.follow(batch, { signal }) };
}
