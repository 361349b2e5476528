import { TENSOR_TYPES } from '../../../lib/npy.ts';
import { SandboxError } from '../../errors.ts';
import type { Reply } from './child-protocol.ts';
import { MAX_TENSOR_NAME_CHARS } from './constants.ts';
import type { LaneTask } from './lane-task.ts';
import type { ChildEnd, ModelChild, ReplyReceiver } from './model-child.ts';
import { isBatchable, type TensorSlot } from './plan-items.ts';
import type { WarmModel, WarmModels } from './warm-models.ts';

export type LoadEnd =
  | { readonly kind: 'loaded'; readonly model: WarmModel }
  | { readonly kind: 'refused'; readonly message: string }
  | { readonly kind: 'gone'; readonly end: ChildEnd };

class LoadReceiver implements ReplyReceiver {
  reply: Extract<Reply, { readonly kind: 'loaded' | 'failed' }> | null = null;

  message(reply: Reply): boolean {
    if (reply.kind !== 'loaded' && reply.kind !== 'failed') {
      throw new SandboxError({ code: 'SANDBOX_PROTOCOL', reason: 'a reply to another order' });
    }
    this.reply = reply;
    return true;
  }

  data(): boolean {
    throw new SandboxError({ code: 'SANDBOX_PROTOCOL', reason: 'bytes of no output' });
  }
}

/** Has a child load the model of a task, and drop others for it where they would take too much together. */
export async function loadModel(
  held: { readonly child: ModelChild; readonly models: WarmModels; readonly users: Set<LaneTask> },
  task: LaneTask,
): Promise<LoadEnd> {
  const { child, models, users } = held;
  const { model, workload } = task.parts;
  for (const { session } of models.makeRoom(model.length)) child.drop(session);
  users.add(task);
  const session = models.nextSession();
  const { threads, optimization, deterministic } = workload;
  const order = { session, sizeBytes: model.length, options: { threads, optimization, deterministic } };
  const before = child.watchMemory().heldBytes;
  const receiver = new LoadReceiver();
  const end = await child.load(order, model, receiver);
  const { reply } = receiver;
  if (end.kind === 'gone' || reply === null) {
    return { kind: 'gone', end: end.kind === 'gone' ? end.end : { isOutOfMemory: false, description: 'no reply' } };
  }
  if (reply.kind === 'failed') return { kind: 'refused', message: reply.message };
  const { inputs, outputs } = reply;
  const problem = findSlotProblem(inputs, outputs);
  if (problem !== null) {
    child.drop(session);
    return { kind: 'refused', message: problem };
  }
  const sizeBytes = Math.max(model.length, child.watchMemory().heldBytes - before);
  const warm = { session, inputs, outputs, sizeBytes, isBatchable: isBatchable(inputs, outputs) };
  models.add(task.session, warm);
  return { kind: 'loaded', model: warm };
}

/** What an array of NumPy and a path cannot be made of. */
function findSlotProblem(inputs: readonly TensorSlot[], outputs: readonly TensorSlot[]): string | null {
  if (inputs.length === 0 || outputs.length === 0) return 'it has no inputs or no outputs';
  for (const slots of [inputs, outputs]) {
    if (new Set(slots.map(({ name }) => name)).size < slots.length) return 'two of its inputs or outputs have one name';
    for (const { name, type } of slots) {
      if (name === '' || name.length >= MAX_TENSOR_NAME_CHARS)
        return 'a name of its inputs or outputs is empty or too long';
      if (!(type in TENSOR_TYPES)) return `'${name}' holds ${type}, which is no array of numbers`;
    }
  }
  return null;
}
