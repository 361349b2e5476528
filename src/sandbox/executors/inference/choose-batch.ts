import { countRows, type InferenceItem, signatureOf } from './plan-items.ts';

/** What a batch is chosen from: the items of one task that wait, in order. */
export interface BatchCandidate {
  /** Equal of tasks that run the same model with the same options. */
  readonly session: string;
  /** Most rows of a call; null: each item is one. */
  readonly batchRows: number | null;
  /** Runs with nothing beside it. */
  readonly isAlone: boolean;
  readonly waiting: readonly InferenceItem[];
}

export interface ChosenItem<Candidate> {
  readonly task: Candidate;
  readonly item: InferenceItem;
}

/**
 * The items of the next call: the first one that waits, and those that go with it, first of its own task, then of others in
 * their order. None is waited for.
 */
export function chooseBatch<Candidate extends BatchCandidate>(
  tasks: readonly Candidate[],
  { isBatchable }: { readonly isBatchable: boolean },
): readonly ChosenItem<Candidate>[] {
  const [lead] = tasks;
  const [first] = lead?.waiting ?? [];
  if (lead === undefined || first === undefined) return [];
  const chosen: ChosenItem<Candidate>[] = [{ task: lead, item: first }];
  const firstRows = countRows(first);
  if (!isBatchable || lead.batchRows === null || firstRows === null) return chosen;
  const signature = signatureOf(first);
  let room = lead.batchRows - firstRows;
  for (const task of lead.isAlone ? [lead] : tasks.filter((other) => goesWith(lead, other))) {
    for (const item of task.waiting) {
      if (item === first) continue;
      const rows = countRows(item);
      if (rows === null || rows > room || signatureOf(item) !== signature) continue;
      chosen.push({ task, item });
      room -= rows;
    }
    if (room <= 0) break;
  }
  return chosen;
}

function goesWith(lead: BatchCandidate, other: BatchCandidate): boolean {
  return other === lead || (!other.isAlone && other.session === lead.session && other.batchRows === lead.batchRows);
}
