import { describe, expect, it } from 'vitest';
import type { Refusal } from '../../../src/domain/refusal.ts';
import {
  QUEUED_OFFER_PATIENCE_MS,
  SEEK_BACKOFF_MS,
  SETTLED_REFUSAL_BACKOFF_MS,
} from '../../../src/scheduler/constants.ts';
import { RequesterRig } from '../../support/requester-rig.ts';
import type { Script } from '../../support/scripted-provider.ts';

/** The first is the cheapest and asked first. */
async function rigWith(...scripts: readonly Script[]): Promise<RequesterRig> {
  const rig = await RequesterRig.start();
  for (const [index, script] of scripts.entries()) {
    await rig.addProvider(script, { pricesPerHour: [{ capabilityClass: 'cpu', price: `${index}` }] });
  }
  return rig;
}

async function takersOf(rig: RequesterRig): Promise<readonly number[]> {
  const { attempts } = await rig.end(await rig.submit());
  return attempts.map(({ provider }) => rig.providers.findIndex(({ peer }) => peer === provider));
}

const queued = (startsWithinMs: number): Script => ({ offer: { startsWithinMs } });

describe('an offer that has to wait in its provider’s queue', () => {
  it('is taken at once where nobody else is left to be asked', async () => {
    const rig = await rigWith(queued(2_000));
    const startedAtMs = rig.clock.nowMs();
    expect(await takersOf(rig)).toEqual([0]);
    expect(rig.clock.nowMs() - startedAtMs).toBeLessThan(QUEUED_OFFER_PATIENCE_MS);
  });

  it('is passed over for one that starts at once, though that is dearer', async () => {
    expect(await takersOf(await rigWith(queued(2_000), {}))).toEqual([1]);
  });

  it('is the one with the shortest wait where all have to', async () => {
    expect(await takersOf(await rigWith(queued(3_000), queued(1_000), queued(2_000)))).toEqual([1]);
  });

  it('is not waited with for long where another does not answer', async () => {
    const rig = await rigWith(queued(2_000), { silentOn: ['offer'] });
    const job = await rig.submit();
    await rig.clock.advance(QUEUED_OFFER_PATIENCE_MS - 50);
    expect((await rig.requester.show(job)).attempts).toEqual([]);
    await rig.clock.advance(100);
    expect((await rig.end(job)).attempts.map(({ provider }) => provider)).toEqual([rig.providers[0]?.peer]);
  });

  it('is not one if it would start after the deadline', async () => {
    expect(await takersOf(await rigWith(queued(601_000), {}))).toEqual([1]);
  });
});

describe('a provider that refuses and says when to ask again', () => {
  /** When it was asked, from the first time on. */
  async function listAsks(retryAfterMs: number, forMs: number): Promise<readonly number[]> {
    const refusal: Refusal = { code: 'AT_CAPACITY', detail: 'full', retryAfterMs };
    const askedAtMs: number[] = [];
    const rig = await rigWith({
      refuseOffer: () => {
        askedAtMs.push(rig.clock.nowMs());
        return refusal;
      },
    });
    await rig.submit();
    for (let elapsedMs = 0; elapsedMs < forMs; elapsedMs += 50) await rig.clock.advance(50);
    await rig.requester.stop();
    return askedAtMs.map((atMs) => atMs - (askedAtMs[0] ?? 0));
  }

  it('is asked again then', async () => {
    const asks = await listAsks(1_500, 3_500);
    expect(asks).toHaveLength(3);
    expect(asks[1]).toBeGreaterThanOrEqual(1_500);
    expect(asks[1]).toBeLessThan(1_700);
  });

  it('is asked no more often than this node thinks sensible, and no later', async () => {
    const eager = await listAsks(1, 1_000);
    expect(eager.length).toBeLessThanOrEqual(1 + 1_000 / SEEK_BACKOFF_MS.first);
    const late = await listAsks(3_600_000, SETTLED_REFUSAL_BACKOFF_MS + 500);
    expect(late).toHaveLength(2);
  });
});
