import { DomainError } from '../../domain/errors.ts';
import { CborError } from '../../lib/canonical-cbor.ts';
import { ProofsError } from '../../proofs/errors.ts';

/** What a peer sent, judged. Its fault is a value: it ends its attempt and nothing else. */
export type Checked<Value> =
  | { readonly kind: 'valid'; readonly value: Value }
  | { readonly kind: 'invalid'; readonly code: string; readonly reason: string };

export const valid = <Value>(value: Value): Checked<Value> => ({ kind: 'valid', value });

export function invalid(code: string, reason: string): { kind: 'invalid'; code: string; reason: string } {
  return { kind: 'invalid', code, reason: reason.slice(0, 300) };
}

/** Turns the coded errors of opening a signed object into a judgement; anything else is our own fault and thrown on. */
export async function checkOpened<Value>(code: string, open: () => Promise<Value>): Promise<Checked<Value>> {
  try {
    return valid(await open());
  } catch (error) {
    if (error instanceof ProofsError || error instanceof DomainError || error instanceof CborError) {
      return invalid(code, error.message);
    }
    throw error;
  }
}

/** The first rule that does not hold, as a judgement. */
export function checkRules<Value>(
  code: string,
  value: Value,
  rules: readonly (readonly [holds: boolean, reason: string])[],
): Checked<Value> {
  const broken = rules.find(([holds]) => !holds);
  return broken === undefined ? valid(value) : invalid(code, broken[1]);
}
