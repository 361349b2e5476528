import { expect, it } from 'vitest';
import { SizeEstimator } from '../../../../src/network/neighbours/candidates/size-estimator.ts';

it('before its first turn a node reports how many it knows, not 1', () => {
  const sizes = new SizeEstimator();
  sizes.noteKnown(41);
  expect(sizes.size).toBe(42);
  sizes.noteKnown(7);
  expect(sizes.size).toBe(42);
  sizes.begin(5, { known: 43, neighbours: new Set() });
  expect(sizes.size).toBe(44);
});
