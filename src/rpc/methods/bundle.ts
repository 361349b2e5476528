import type { HandlerModules, MethodHandlers } from './handlers.ts';

export function createBundleHandlers(modules: HandlerModules): MethodHandlers<'bundle.export'> {
  const { requester, bundles } = modules;
  return {
    'bundle.export': async ({ job, ...request }, { signal }) =>
      bundles.exportFile(await requester.evidence(job), request, { signal }),
  };
}
