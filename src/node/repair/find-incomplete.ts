import { SchedulerError } from '../../scheduler/errors.ts';
import { decodeHistoryEntry } from '../../scheduler/job-records.ts';
import { BYTES_CODEC } from '../../storage/codecs.ts';
import type { Database } from '../../storage/interface.ts';
import type { NamespaceName } from '../../storage/namespaces.ts';

const END_SUFFIX = '/end';
/** What is damaged is told of by whoever reads the entries themselves. */
const SKIP = { onDamaged: () => {} };

/** What is missing between entries that are whole themselves, in words. */
export async function findIncomplete(database: Database): Promise<readonly string[]> {
  const found: string[] = [];
  const records = new Set<string>();
  const ended = new Set<string>();
  for await (const key of keysOf(database, 'jobs')) {
    if (key.endsWith(END_SUFFIX)) ended.add(key.slice(0, -END_SUFFIX.length));
    else records.add(key);
  }
  for (const job of ended) {
    if (!records.has(job)) found.push(`job ${job}: its record is missing; its summary is kept, but cannot be shown`);
  }
  for (const [job, gap] of await findGaps(database)) {
    const end = ended.has(job) ? 'it has ended, and its summary is whole' : 'it cannot be gone on with';
    if (!records.has(job)) found.push(`job ${job}: its record is missing; of it only its history is left`);
    else found.push(`job ${job}: event ${gap} of its history is missing; ${end}`);
  }
  const leases = new Set<string>();
  for await (const lease of keysOf(database, 'leases')) leases.add(lease);
  for await (const lease of keysOf(database, 'attempt-origins')) {
    if (!leases.has(lease)) found.push(`lease ${lease}: its record is missing; its attempt is not gone on with`);
  }
  return found;
}

/** Of each job whose history does not count up from 0: the first number that is missing. */
async function findGaps(database: Database): Promise<ReadonlyMap<string, number>> {
  const gaps = new Map<string, number>();
  let current = '';
  let next = 0;
  const rows = database.repository('job-history', BYTES_CODEC).entries({}, SKIP);
  for await (const [key, bytes] of rows) {
    const [job = '', sequence = ''] = key.split('/');
    if (job !== current) next = 0;
    current = job;
    if (Number(sequence) !== next && !gaps.has(job)) gaps.set(job, next);
    next = Number(sequence) + countEvents(key, bytes);
  }
  return gaps;
}

/** One that is damaged is told of by itself. */
function countEvents(key: string, bytes: Uint8Array): number {
  try {
    return decodeHistoryEntry(`job-history/${key}`, bytes).length;
  } catch (error) {
    if (error instanceof SchedulerError) return 1;
    throw error;
  }
}

async function* keysOf(database: Database, namespace: NamespaceName): AsyncGenerator<string> {
  for await (const [key] of database.repository(namespace, BYTES_CODEC).entries({}, SKIP)) yield key;
}
