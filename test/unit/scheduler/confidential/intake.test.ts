import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { encodeUtf8 } from '../../../../src/lib/bytes.ts';
import { SchedulerError } from '../../../../src/scheduler/errors.ts';
import type { JobDraft } from '../../../../src/scheduler/interface.ts';
import type { ConfidentialOptions } from '../../../../src/scheduler/options.ts';
import { ConfidentialIntake } from '../../../../src/scheduler/requester/confidential/confidential-intake.ts';
import { describeDraft } from '../../../support/both-sides.ts';
import { whole } from '../../../support/confidential-work.ts';
import { HeapBlobStore } from '../../../support/provider-blobs.ts';
import { TestTee } from '../../../support/simulated-tee.ts';

const tee = new TestTee();
const confidentiality = tee.createConfidentiality();
const confidential = { policy: tee.policy };

async function createScene(options: Partial<ConfidentialOptions> = {}) {
  const blobs = new HeapBlobStore();
  const given = { ownPolicy: null, hasSimulatedTee: true, spoolFolder: tmpdir(), ...options };
  const intake = new ConfidentialIntake({ blobs, confidentiality }, given);
  const describeInputs = async (...texts: readonly string[]): Promise<JobDraft> => ({
    ...describeDraft(1),
    capabilityClass: 'tee',
    inputs: await Promise.all(
      texts.map(async (text, index) => ({ path: `/in-${index}`, ...(await blobs.put(encodeUtf8(text))) })),
    ),
  });
  return { blobs, intake, describeInputs };
}

describe('the intake of confidential jobs', () => {
  it('seals each input into a blob of its own, which opens to what was committed to', async () => {
    const { blobs, intake, describeInputs } = await createScene();
    const draft = await describeInputs('one', 'two', '');
    using sealed = await intake.seal(draft, confidential);
    const { inputs, confidential: section } = sealed.body;
    expect(section?.policy).toBe(tee.policy);
    expect(inputs.map(({ path }) => path)).toEqual(draft.inputs.map(({ path }) => path));
    expect(new Set([...inputs, ...draft.inputs].map(({ blob }) => blob)).size).toBe(6);
    for (const [index, text] of ['one', 'two', ''].entries()) {
      const [input, commitment] = [inputs[index], section?.commitments[index]];
      if (input === undefined || commitment === undefined) throw new TypeError('an input is missing');
      const stored = await blobs.get(input.blob, input.sizeBytes);
      const opening = { secrets: sealed.secrets, index, commitment, maxBytes: 1_000 };
      expect(await confidentiality.openInput(whole(stored), opening)).toEqual(encodeUtf8(text));
    }
    expect(blobs.pinned.toSorted()).toEqual(inputs.map(({ blob }) => blob).toSorted());
  });

  it('holds sealed inputs only until they are held with the job, and takes another key for each submission', async () => {
    const { blobs, intake, describeInputs } = await createScene();
    const draft = await describeInputs('one');
    const first = await intake.seal(draft, confidential);
    const second = await intake.seal(draft, confidential);
    expect(first.secrets.contentKey).not.toEqual(second.secrets.contentKey);
    expect(first.body.inputs).not.toEqual(second.body.inputs);
    first[Symbol.dispose]();
    second[Symbol.dispose]();
    expect(blobs.pinned).toEqual([]);
  });

  it('puts large inputs together in a file that is gone afterwards', async () => {
    const spoolFolder = await mkdtemp(join(tmpdir(), 'fogproof-test-'));
    try {
      const { intake, describeInputs } = await createScene({ spoolFolder });
      using sealed = await intake.seal(await describeInputs('x'.repeat(5 * 2 ** 20)), confidential);
      const tags = Math.ceil((5 * 2 ** 20) / 65_536) * 16;
      expect(sealed.body.inputs[0]?.sizeBytes).toBe(5 * 2 ** 20 + tags);
      expect(await readdir(spoolFolder)).toEqual([]);
    } finally {
      await rm(spoolFolder, { recursive: true });
    }
  });

  const checkpoints = { schedule: { kind: 'steps', every: 1 }, holder: null, sealed: true } as const;
  const comparisons = [{ path: '/out', element: 'f32', absolute: '0', relative: '0' } as const];
  const refusals: readonly (readonly [string, Partial<JobDraft>, string, Partial<ConfidentialOptions>])[] = [
    ['checkpoints', { checkpoints }, tee.policy, {}],
    ['compared byte for byte', { comparisons }, tee.policy, {}],
    ['class is cpu', { capabilityClass: 'cpu' }, tee.policy, {}],
    ['this network has none', {}, tee.policy, { hasSimulatedTee: false }],
    ['policy', {}, 'no json', {}],
    ['policy', {}, '{}', {}],
    ['policy', {}, '{"nvidia":{}}', {}],
    ['policy', {}, '{"simulated":{"measurement":"ab"}}', {}],
    ['that of this node', {}, tee.policy, { ownPolicy: '{"sgx":{}}' }],
  ];
  it.each(refusals)('refuses what cannot be confidential: %s', async (reason, change, policy, options) => {
    const { blobs, intake, describeInputs } = await createScene(options);
    const draft = { ...(await describeInputs('one')), ...change };
    const error: unknown = await intake.seal(draft, { policy }).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(SchedulerError);
    expect(error).toMatchObject({
      code: 'SCHEDULER_CONFIDENTIAL_REFUSED',
      message: expect.stringContaining(reason),
      hint: expect.stringContaining('Nothing was sent'),
    });
    expect(blobs.blobs.size).toBe(1);
  });

  it('says which input is not here, and lets go of what it sealed before', async () => {
    const { blobs, intake, describeInputs } = await createScene();
    const draft = await describeInputs('one', 'two');
    const [, second] = draft.inputs;
    if (second === undefined) throw new TypeError('no input');
    blobs.blobs.delete(second.blob);
    await expect(intake.seal(draft, confidential)).rejects.toMatchObject({ code: 'SCHEDULER_BLOB_MISSING' });
    expect(blobs.pinned).toEqual([]);
  });
});
