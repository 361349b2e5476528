/** Ratings of providers: one that was acknowledged is there at the end, to be signed or signed, and as it was given. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { JobId } from '../../src/domain/ids.ts';
import { isDaemonError } from '../../src/lib/errors.ts';
import { type Asking, attempt, type Reviewing } from './asking.ts';

const MOST_STARS = 5;
/** Nobody is told that a rating was taken: it came too late by a clock that was set, or there were enough. */
const NOT_TAKEN: ReadonlySet<string> = new Set([
  'SCHEDULER_RATED_ALREADY',
  'SCHEDULER_RATING_LATE',
  'SCHEDULER_RATINGS_FULL',
]);
const SIGNED: ReadonlySet<string> = new Set(['SCHEDULER_RATED_ALREADY']);
/** Signed with the observations, every five seconds with the epochs of the harness's network. */
const SIGNED_WITHIN_MS = 15_000;
const POLL_MS = 1_000;

interface Given {
  readonly job: JobId;
  readonly stars: number;
  readonly requester: string;
}

export class Ratings {
  readonly #given: Given[] = [];

  /** Of a job with a result. */
  async rate(job: JobId, asking: Reviewing): Promise<void> {
    const stars = 1 + (this.#given.length % MOST_STARS);
    const error = await attempt(asking, NOT_TAKEN, (client) => client.call('job.rate', { job, stars, replica: null }));
    // A call that was not answered may have been taken, and signed before it was repeated.
    if (error === undefined || readStars(error) === stars)
      this.#given.push({ job, stars, requester: asking.node.name });
    else if (readStars(error) !== null) asking.onFinding(`${job}: rated ${stars}, and ${readStars(error)} is signed`);
  }

  /** What a requester has lost of those that it took. Given again, a rating is answered with what it replaces. */
  async review(asking: Reviewing): Promise<void> {
    const deadlineMs = performance.now() + SIGNED_WITHIN_MS;
    let open = this.#given.filter(({ requester }) => requester === asking.node.name);
    while (open.length > 0 && performance.now() < deadlineMs) {
      const unsigned: Given[] = [];
      for (const given of open) {
        const found = await this.#look(given, asking);
        if (found.stars !== given.stars)
          asking.onFinding(`${given.job}: was rated ${given.stars}, and is ${found.stars}`);
        else if (!found.isSigned) unsigned.push(given);
      }
      open = unsigned;
      if (open.length > 0) await sleep(POLL_MS, undefined, { signal: asking.signal });
    }
  }

  async #look({ job, stars }: Given, asking: Asking): Promise<{ stars: number | null; isSigned: boolean }> {
    let replaced: number | null = null;
    let calls = 0;
    const error = await attempt(asking, SIGNED, async (client) => {
      calls += 1;
      const { ratings } = await client.call('job.rate', { job, stars, replica: null });
      // An earlier call that was not answered has put it there again.
      replaced = calls > 1 ? stars : (ratings[0]?.replaced ?? null);
    });
    return error === undefined ? { stars: replaced, isSigned: false } : { stars: readStars(error), isSigned: true };
  }
}

function readStars(error: unknown): number | null {
  if (!isDaemonError(error) || error.code !== 'SCHEDULER_RATED_ALREADY') return null;
  const stars: unknown = Reflect.get(error.info, 'stars');
  return typeof stars === 'number' ? stars : null;
}
