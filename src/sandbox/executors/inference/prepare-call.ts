import type { RunOrder } from './child-protocol.ts';
import type { ChosenItem } from './choose-batch.ts';
import type { ItemLimit } from './item-receiver.ts';
import type { LaneTask } from './lane-task.ts';
import { bindItem, countRows, findLongPath, type InferenceItem } from './plan-items.ts';
import type { CallShare } from './time-call.ts';
import type { WarmModel } from './warm-models.ts';

/** One call of a model, ready to be ordered. */
export interface PreparedCall {
  readonly chosen: readonly ChosenItem<LaneTask>[];
  readonly shares: readonly CallShare[];
  readonly rows: number;
  readonly limits: readonly ItemLimit[];
  readonly order: RunOrder;
  /** Bytes of the arrays, in order. */
  readonly following: readonly Uint8Array[];
}

interface BoundItem extends ChosenItem<LaneTask> {
  /** With the names of the model's inputs. */
  readonly whole: InferenceItem;
}

/** Fails the tasks whose items the model cannot take; null if nothing is left. */
export function prepareCall(chosen: readonly ChosenItem<LaneTask>[], model: WarmModel): PreparedCall | null {
  const bound: BoundItem[] = [];
  for (const { task, item } of chosen) {
    const whole = bindItem(item, model.inputs);
    const unplaced = findLongPath(item, model.outputs);
    if (unplaced !== null) task.fail({ code: 'OUTPUT_REFUSED', detail: describeUnplaced(item.name, unplaced) });
    else if (typeof whole === 'string') task.fail({ code: 'INPUT_REFUSED', detail: `item ${item.name}: ${whole}` });
    else bound.push({ task, item, whole });
  }
  const ready = bound.filter(({ task }) => !task.isOver);
  if (ready.length === 0) return null;
  const shares = ready.map(({ task, item }) => ({ task, rows: countRows(item) ?? 1 }));
  const limits = ready.map(({ task }, index) => ({
    maxBytes: task.leftBytes,
    rows: ready.length === 1 ? null : (shares[index]?.rows ?? 1),
  }));
  const items = ready.map(({ whole, task }) => ({
    tensors: whole.tensors.map(({ name, type, shape }) => ({ name: name ?? '', type, shape })),
    maxBytes: task.leftBytes,
  }));
  return {
    chosen: ready,
    shares,
    rows: shares.reduce((sum, { rows }) => sum + rows, 0),
    limits,
    order: { session: model.session, items },
    following: ready.flatMap(({ whole }) => whole.tensors.map(({ bytes }) => bytes)),
  };
}

function describeUnplaced(item: string, output: string): string {
  return `item ${item.slice(0, 100)} and output ${output.slice(0, 100)} are too long for a path together`;
}
