import type { JobId } from '../../src/domain/ids.ts';
import type { RpcClient } from '../../src/rpc/client.ts';
import { MAX_LIST_LIMIT } from '../../src/rpc/constants.ts';

export interface Unended {
  readonly left: number;
  /** Cancelled now, since each provider refuses it for good. */
  readonly released: readonly JobId[];
}

/**
 * Jobs of a requester that have not ended. One under which every provider died three times is quarantined by all of them
 * (docs/durability.md) and would wait until its deadline: it is cancelled, and has to end as that.
 */
export async function findUnended(client: RpcClient, providers: readonly string[]): Promise<Unended> {
  const { jobs } = await client.call('job.list', { limit: MAX_LIST_LIMIT });
  const live = jobs.filter(({ endedAtMs }) => endedAtMs === null);
  const released: JobId[] = [];
  for (const { job, state } of live) {
    if (state !== 'seeking' || !(await isQuarantinedByAll(client, job, providers))) continue;
    await client.call('job.cancel', { job });
    released.push(job);
  }
  return { left: live.length, released };
}

async function isQuarantinedByAll(client: RpcClient, job: JobId, providers: readonly string[]): Promise<boolean> {
  const { asked } = await client.call('job.explain', { job });
  return providers.every((provider) => {
    const last = asked
      .filter((entry) => entry.provider === provider)
      .toSorted((a, b) => a.atMs - b.atMs)
      .at(-1);
    return last?.answer.kind === 'refused' && last.answer.refusal.code === 'QUARANTINED';
  });
}
