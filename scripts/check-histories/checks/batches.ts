import type { JobId } from '../../../src/domain/ids.ts';
import { BATCH_PLACE_CODEC, BATCH_RECORD_CODEC } from '../../../src/scheduler/requester/batches/batch-store.ts';
import { attempt, type OpenedNode, readBytes, readRange } from '../open-node.ts';
import type { RunContext } from '../run-context.ts';

const IN: Parameters<typeof readRange>[2] = { gte: 'in/', lt: 'in0' };

/** A place is written with its job: a submission that was cut off and is done again makes no second one. */
export async function checkBatches({ tally }: RunContext, node: OpenedNode): Promise<void> {
  const placeOf = new Map<JobId, string>();
  for await (const [key, bytes] of readRange(node.database, 'job-batches', IN)) {
    const job = attempt(() => BATCH_PLACE_CODEC.decode(bytes));
    if (job === undefined) continue;
    const [, batch = '', place] = key.split('/');
    const recordBytes = await readBytes(node.database, 'job-batches', `of/${batch}`);
    const record = recordBytes && attempt(() => BATCH_RECORD_CODEC.decode(recordBytes));
    const other = placeOf.get(job);
    tally.check('batches-filled', { node: node.name, key: `job-batches/${key}` }, [
      [record !== undefined, 'there is no record of its batch'],
      [record === undefined || Number(place) < record.size, `its batch has ${record?.size} places`],
      [other === undefined, `the job ${job} also stands at ${other}`],
      [await node.database.hasKey('jobs', job), `the job ${job}, which stands there, is missing`],
    ]);
    placeOf.set(job, key);
  }
}
