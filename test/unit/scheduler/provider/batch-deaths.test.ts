import { expect, it } from 'vitest';
import { POISON_LIMIT } from '../../../../src/scheduler/provider/constants.ts';
import { until } from '../../../support/provider-checkpoints.ts';
import { settle } from '../../../support/provider-clock.ts';
import { ScriptedExecutor } from '../../../support/provider-executor.ts';
import { PARAMETERS, ProviderRig } from '../../../support/provider-rig.ts';

const PROVIDER = { slots: 1 };

/** A provider whose programs never end, on what the one before left when it was killed. */
async function startAfter(rig?: ProviderRig): Promise<ProviderRig> {
  const executor = new ScriptedExecutor(undefined, () => undefined);
  if (rig === undefined) return await ProviderRig.start({ executor, provider: PROVIDER });
  const { clock, switchboard } = rig;
  return await ProviderRig.start({
    executor,
    clock,
    switchboard,
    database: rig.database.clone(),
    provider: PROVIDER,
  });
}

it('a job that takes the daemon down each time it comes in a batch is quarantined, those that wait with it are not', async () => {
  let rig = await startAfter();
  const author = await rig.requester();
  const described = ['deadly', 'harmless'].map((name) => author.describeJob({ name }));
  const jobs = await author.signJobs(...described);
  let deaths = 0;
  let refusal: string | undefined;
  for (; deaths < 10; deaths += 1) {
    const requester = await rig.requester();
    const log = requester.lease(await requester.prepare(jobs));
    await log.until(() => log.refusal !== undefined || rig.executor.held.length > 0);
    refusal = log.refusal;
    if (refusal !== undefined) break;
    await settle();
    rig = await startAfter(rig);
  }
  // The first time it was only suspected.
  expect({ deaths, refusal }).toEqual({ deaths: 1 + POISON_LIMIT, refusal: 'QUARANTINED' });
  // The offer of the refused batch still holds the slot.
  await rig.clock.advance(PARAMETERS.offerTtlMs);
  const requester = await rig.requester();
  requester.lease(await requester.prepare(jobs.slice(1)));
  await until('the harmless job', () => rig.executor.held.length > 0);
});

it('the start of a job of a batch is not written where nobody has died of it', async () => {
  const rig = await startAfter();
  const requester = await rig.requester();
  const work = await requester.prepare(await requester.signJobs(requester.describeJob(), requester.describeJob()));
  let writes = 0;
  rig.database.onWrite = () => void (writes += 1);
  const log = requester.lease(work);
  await log.until(() => rig.executor.held.length > 0);
  await settle();
  expect(writes).toBe(1);
});
