import type { JobId } from '../../../src/domain/ids.ts';
import {
  BATCH_PLACE_CODEC,
  BATCH_RECORD_CODEC,
  BATCH_STAND_CODEC,
} from '../../../src/scheduler/requester/batches/batch-store.ts';
import { attempt, type OpenedNode, readBytes, readRange, under } from '../open-node.ts';
import type { RunContext } from '../run-context.ts';

/**
 * A place is written with its job, and the job's stand with both: a submission that was cut off and is done again makes
 * no second job. A place names one job, whatever happened; of a second one only its own stand is left.
 */
export async function checkBatches({ tally }: RunContext, node: OpenedNode): Promise<void> {
  const jobAt = new Map<string, JobId>();
  const placeOf = new Map<JobId, string>();
  for await (const [key, bytes] of readRange(node.database, 'job-batches', under('in'))) {
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
      [await node.database.hasKey('job-batches', `at/${job}`), `the job ${job} does not say that it stands there`],
    ]);
    jobAt.set(`${batch}/${place}`, job);
    placeOf.set(job, key);
  }
  for await (const [key, bytes] of readRange(node.database, 'job-batches', under('at'))) {
    const stand = attempt(() => BATCH_STAND_CODEC.decode(bytes));
    if (stand === undefined) continue;
    const job = key.slice('at/'.length);
    const holder = jobAt.get(stand);
    tally.check('batches-filled', { node: node.name, key: `job-batches/${key}` }, [
      [holder === job, `its place ${stand} has ${holder === undefined ? 'no job' : `the job ${holder}: it got two`}`],
    ]);
  }
}
