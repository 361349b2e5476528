/**
 * The judgement of something a peer sent. Remote misbehaviour is a value, not an exception.
 * `penalty` counts towards the peer's score; `ignore` costs the sender nothing.
 */
export type Verdict =
  | { readonly kind: 'accept' }
  | { readonly kind: 'ignore'; readonly code: string }
  | { readonly kind: 'reject'; readonly code: string; readonly penalty: number };

export const ACCEPT: Verdict = { kind: 'accept' };
