import { existsSync } from 'node:fs';
import { join, relative } from 'node:path';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

const ROOT = join(import.meta.dirname, '..');

/**
 * Started first, in this order: a long file that starts last runs alone at the end. Files that keep a core busy alternate with
 * files that mostly wait, so that both cores have work from the start.
 */
const FIRST: readonly string[] = [
  'test/e2e/stepping.test.ts',
  'test/integration/netns/hosts.test.ts',
  'test/e2e/chain.test.ts',
  'test/integration/scheduler/both-sides.test.ts',
  'test/e2e/faults.test.ts',
  'test/integration/network/gossip-attacks.test.ts',
  'test/integration/netns/behind-router.test.ts',
  'test/e2e/jobs.test.ts',
  'test/integration/chain/journal-crash.test.ts',
  'test/e2e/unharmed.test.ts',
  'test/contract/executor.test.ts',
  'test/e2e/demo-interrupted.test.ts',
  'test/integration/sandbox/bombs.test.ts',
  'test/contract/executor-checkpoints.test.ts',
  'test/e2e/process.test.ts',
  'test/integration/adversary/provider.test.ts',
  'test/integration/scripts/check-histories.test.ts',
  'test/integration/chain/follow.test.ts',
  'test/integration/programs/toolchain.test.ts',
  'test/integration/chain/anchoring/crashes.test.ts',
  'test/integration/scheduler/away-live.test.ts',
  'test/integration/sandbox/children.test.ts',
  'test/integration/node/chain-control.test.ts',
];

/** Vitest's own order, but for the files named above. */
export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const gone = FIRST.filter((file) => !existsSync(join(ROOT, file)));
    if (gone.length > 0)
      throw new TypeError(`scripts/test-order.ts names files that are not there: ${gone.join(', ')}`);
    const rank = ({ moduleId }: TestSpecification): number => {
      const index = FIRST.indexOf(relative(ROOT, moduleId));
      return index === -1 ? FIRST.length : index;
    };
    const group = ({ project }: TestSpecification): number => project.config.sequence.groupOrder;
    return (await super.sort(files)).toSorted((a, b) => group(a) - group(b) || rank(a) - rank(b));
  }
}
