import { defineConfig } from 'vitest/config';

const project = (name: string, testTimeout: number, extra: object = {}) => ({
  test: { name, include: [`test/${name}/**/*.test.ts`], testTimeout, hookTimeout: testTimeout, ...extra },
});

export default defineConfig({
  test: {
    projects: [
      project('unit', 10_000),
      project('vectors', 20_000),
      project('contract', 60_000),
      project('integration', 60_000),
      project('programs', 60_000),
      project('e2e', 120_000, { fileParallelism: false }),
    ],
  },
});
