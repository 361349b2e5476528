import { describe, expect, it } from 'vitest';
import { ConfidentialSides, type Middle, PARROT } from '../../support/confidential-sides.ts';
import type { HeldExecution } from '../../support/provider-executor.ts';

const SECRET = 'kept over a restart';
const patience = () => AbortSignal.timeout(20_000);

/** Resolves once the provider is asked this; it is never answered. */
function holdAt(op: 'challenge' | 'release') {
  const { promise: reached, resolve } = Promise.withResolvers<void>();
  let isHeld = true;
  const middle: Middle = async (request, forward) => {
    if (!isHeld || request.op !== op) return await forward(request);
    isHeld = false;
    resolve();
    return await new Promise(() => undefined);
  };
  return { middle, reached };
}

describe('a requester that goes down', () => {
  it('before it has released anything lets the lease go, and begins another one', async () => {
    const { middle, reached } = holdAt('challenge');
    await using sides = await ConfidentialSides.start({ providers: 2, middle });
    const { job } = await sides.submit(SECRET);
    await reached;
    await sides.requester.stop();
    expect(sides.released).toEqual([]);
    await sides.startRequester();
    const view = await sides.requester.wait(job, { signal: patience() });
    expect(view.state).toBe('completed');
    expect(view.attempts[0]?.reason).toMatch(/^NOT_RELEASED: this node was started again/);
    expect(await sides.readOutput(view)).toBe(SECRET);
  });

  it('with a release on disk that never arrived sends that one, and follows the attempt', async () => {
    const { middle, reached } = holdAt('release');
    await using sides = await ConfidentialSides.start({ middle });
    const { job } = await sides.submit(SECRET);
    await reached;
    await sides.requester.stop();
    await sides.startRequester();
    const view = await sides.requester.wait(job, { signal: patience() });
    expect(view).toMatchObject({ state: 'completed', attempts: [{ state: 'revealed', attempt: 0 }] });
    expect(sides.released).toHaveLength(1);
    const releases = sides.asked.flatMap((request) => (request.op === 'release' ? [request.release] : []));
    expect(releases).toHaveLength(2);
    expect(releases[1]).toEqual(releases[0]);
    expect(await sides.readOutput(view)).toBe(SECRET);
  });

  it('while the program runs opens what it printed meanwhile, and its result', async () => {
    const { promise: held, resolve } = Promise.withResolvers<HeldExecution>();
    await using sides = await ConfidentialSides.start({ behaviour: resolve });
    const { job } = await sides.submit(SECRET);
    const execution = await held;
    execution.sink.log('stdout', 'before', 1);
    await expect.poll(async () => (await sides.readEvents(job)).some((event) => event.kind === 'log')).toBe(true);
    await sides.requester.stop();
    execution.sink.log('stdout', 'meanwhile', 2);
    await sides.startRequester();
    PARROT(execution);
    const view = await sides.requester.wait(job, { signal: patience() });
    expect(view).toMatchObject({
      state: 'completed',
      attempts: [{ state: 'revealed', evidence: { kind: 'simulated' } }],
    });
    expect(await sides.readOutput(view)).toBe(SECRET);
    const said = (await sides.readEvents(job)).flatMap((event) => (event.kind === 'log' ? [event.text] : []));
    expect(said).toEqual(['before', 'meanwhile', SECRET]);
  });

  it('has nothing in its database that opens a job without its identity, and nothing in memory once the job has ended', async () => {
    await using sides = await ConfidentialSides.start();
    await sides.run(SECRET);
    const [[released], [used]] = [sides.released, sides.used];
    if (released === undefined || used === undefined) throw new TypeError('nothing was released');
    const jobs = sides.database.repository('jobs', { encode: (raw: Uint8Array) => raw, decode: (raw) => raw });
    const rows: Buffer[] = [];
    for await (const [, row] of jobs.entries({})) rows.push(Buffer.from(row));
    const { contentKey, salts } = released.secrets;
    const secrets = [contentKey, ...salts].map((secret) => Buffer.from(secret));
    expect(rows.length).toBeGreaterThan(0);
    expect(rows.some((row) => secrets.some((secret) => row.includes(secret)))).toBe(false);
    expect([used.contentKey, ...used.salts].every((array) => array.every((byte) => byte === 0))).toBe(true);
  });
});
