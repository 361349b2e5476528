import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';
import { LongestFirst } from './scripts/test-order.ts';

interface ProjectOptions {
  readonly isolate?: boolean;
  readonly maxWorkers?: number;
  readonly sequence?: { readonly groupOrder: number };
}

const project = (name: string, testTimeout: number, options: ProjectOptions = {}) => ({
  test: {
    name,
    include: [`test/${name}/**/*.test.ts`],
    testTimeout,
    hookTimeout: testTimeout,
    setupFiles: ['test/support/compile-cache.ts'],
    // Node.js runs the sources as they are; vitest's own loader takes twice the time and gives mocks, which are not used.
    experimental: { viteModuleRunner: false, nodeLoader: false },
    ...options,
  },
});

/** Nothing there touches what files share, and loading the modules anew takes as long as the tests. */
const SHARED = { isolate: false } as const;
/** These wait for leases, slots and other processes for a good part of their time. */
const WAITING = { maxWorkers: 2 * availableParallelism(), sequence: { groupOrder: 1 } } as const;

export default defineConfig({
  test: {
    // One for each core: by itself vitest leaves one of them idle.
    maxWorkers: availableParallelism(),
    sequence: { sequencer: LongestFirst },
    projects: [
      project('unit', 60_000, SHARED),
      project('vectors', 60_000, SHARED),
      project('contract', 60_000, WAITING),
      project('integration', 60_000, WAITING),
      project('programs', 60_000, { ...SHARED, ...WAITING }),
      project('e2e', 120_000, WAITING),
      // Not part of npm test: the peer of the other side takes minutes to compile.
      project('interop', 120_000, WAITING),
    ],
  },
});
