import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';

const project = (name: string, testTimeout: number, extra: object = {}) => ({
  test: { name, include: [`test/${name}/**/*.test.ts`], testTimeout, hookTimeout: testTimeout, ...extra },
});

export default defineConfig({
  test: {
    // One for each core: by itself vitest leaves one of them idle.
    maxWorkers: availableParallelism(),
    projects: [
      // Nothing there touches what files share, and loading the modules anew takes as long as the tests.
      project('unit', 60_000, { isolate: false }),
      project('vectors', 60_000, { isolate: false }),
      project('contract', 60_000),
      project('integration', 60_000),
      project('programs', 60_000),
      project('e2e', 120_000),
      // Not part of npm test: the peer of the other side takes minutes to compile.
      project('interop', 120_000),
    ],
  },
});
