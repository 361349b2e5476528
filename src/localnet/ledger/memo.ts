import { MEMO_PROGRAM, MEMO_PROGRAM_V1 } from '../svm/program-ids.ts';
import type { WireMessage } from '../svm/wire-transaction.ts';

/** Memos of a transaction as getSignaturesForAddress shows them: `[length] text`, joined with `; `. */
export function readMemo({ instructions, accountKeys }: WireMessage): string | null {
  const memos = instructions
    .filter(({ programIdIndex }) => isMemoProgram(accountKeys[programIdIndex] ?? ''))
    .map(({ data }) => `[${data.length}] ${new TextDecoder().decode(data)}`);
  return memos.length === 0 ? null : memos.join('; ');
}

function isMemoProgram(address: string): boolean {
  return address === MEMO_PROGRAM || address === MEMO_PROGRAM_V1;
}
