/** State roots hold no time and no name: of equal steps they are equal, or one of two replicas is wrong. */
import type { Receipt } from '../../domain/receipt.ts';
import { areBytesEqual } from '../../lib/bytes.ts';
import type { OpenedAttempt } from '../open-evidence.ts';
import { valueOf } from './check.ts';

/** The state root after each step that an attempt, or one that it inherited from, has a checkpoint of. */
export type StateRoots = ReadonlyMap<number, Uint8Array>;

/** Empty where the chain is not in the file or does not hold. */
export function collectStateRoots({ chain, inherited }: OpenedAttempt): StateRoots {
  const roots = new Map<number, Uint8Array>();
  if (chain.kind !== 'verified') return roots;
  for (const checkpoint of inherited.flatMap(({ checkpoints }) => checkpoints)) {
    const value = valueOf(checkpoint);
    if (value !== undefined) roots.set(value.step, value.stateRoot);
  }
  const { start, links } = chain.chain;
  roots.set(start.step, start.stateRoot);
  for (const { step, stateRoot } of links) roots.set(step, stateRoot);
  return roots;
}

export interface StateComparison {
  /** Steps that both have a checkpoint of. */
  readonly common: number;
  /** After `from` (null: no such step) both were the same, after `to` they are not. */
  readonly difference: { readonly from: number | null; readonly to: number } | null;
}

export function compareStateRoots(a: StateRoots, b: StateRoots): StateComparison {
  const steps = [...a.keys()].filter((step) => b.has(step)).toSorted((first, second) => first - second);
  let from: number | null = null;
  for (const to of steps) {
    if (!areBytesEqual(a.get(to) as Uint8Array, b.get(to) as Uint8Array)) {
      return { common: steps.length, difference: { from, to } };
    }
    from = to;
  }
  return { common: steps.length, difference: null };
}

/** `(40, 50]`, or where there was nothing equal before. */
export function describeInterval({ from, to }: NonNullable<StateComparison['difference']>): string {
  return from === null ? `at step ${to} already` : `in the interval (${from}, ${to}]`;
}

/** Modules count alike under one instrumenter only (docs/stepping.md section 4). */
export function areComparable(a: Receipt['result'], b: Receipt['result']): boolean {
  return a.instrumenter === b.instrumenter && a.instrumentedModule === b.instrumentedModule;
}
