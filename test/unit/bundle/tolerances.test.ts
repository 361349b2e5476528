import { describe, expect, it } from 'vitest';
import type { BundleVerification } from '../../../src/bundle/interface.ts';
import { verifyBundle } from '../../../src/bundle/verify.ts';
import { BlobId } from '../../../src/domain/ids.ts';
import type { Comparison, Job } from '../../../src/domain/job.ts';
import type { Result } from '../../../src/domain/receipt.ts';
import { encodeUtf8 } from '../../../src/lib/bytes.ts';
import { computeRawId } from '../../../src/lib/cid.ts';
import { BLOBS, type BuildOptions, buildBundle, packBundle, party } from '../../support/bundle-builder.ts';
import { wasmOf } from '../../support/workload.ts';

const TEXT: Comparison = { path: '/report.txt', element: 'text', absolute: '0.1', relative: '0' };

interface Plan {
  /** `/report.txt` of each replica. */
  readonly reports: readonly string[];
  readonly comparisons?: readonly Comparison[] | undefined;
  /** Reports that the file does not hold. */
  readonly leftOut?: readonly string[];
  readonly result?: (result: Result, replica: number) => Result;
  readonly options?: BuildOptions;
}

function asRounds(job: Job, comparisons: readonly Comparison[] | undefined): Job {
  const checkpoints = { schedule: { kind: 'rounds', every: 5 }, holder: null, sealed: false } as const;
  return {
    ...job,
    workload: { ...wasmOf(job.workload), abi: 'wasi' },
    checkpoints,
    ...(comparisons === undefined ? {} : { comparisons: [...comparisons] }),
  };
}

async function build({ reports, comparisons, leftOut = [], result = (same) => same, options = {} }: Plan) {
  const files = new Map(reports.map((text) => [text, encodeUtf8(text)]));
  const entryOf = (text: string) => {
    const bytes = files.get(text) ?? encodeUtf8(text);
    return { blob: BlobId(computeRawId(bytes)), sizeBytes: bytes.length };
  };
  const built = await buildBundle({
    replicas: reports.length,
    checkpoints: { every: 5 },
    ...options,
    lies: {
      job: (job) => asRounds(job, comparisons),
      result: (honest, replica) =>
        result(
          {
            ...honest,
            fuel: 500_000 + replica,
            outputs: honest.outputs.map((file) =>
              file.path === '/report.txt' ? { path: file.path, ...entryOf(reports[replica] ?? '') } : file,
            ),
          },
          replica,
        ),
      bundle: (bundle) => {
        const own = new Set(
          [...BLOBS].flatMap(([blob, bytes]) => (encodeUtf8('accuracy 0.96').join() === bytes.join() ? [blob] : [])),
        );
        return {
          ...bundle,
          blobs: [
            ...bundle.blobs.filter(({ blob }) => !own.has(blob)),
            ...[...files.keys()].map((text) => ({ ...entryOf(text), included: !leftOut.includes(text) })),
          ],
        };
      },
    },
  });
  const blobs = new Map([...built.chains, ...[...files].map(([text, bytes]) => [entryOf(text).blob, bytes] as const)]);
  return await packBundle(built.bundle, blobs);
}

async function verify(plan: Plan): Promise<BundleVerification> {
  return await verifyBundle(await build({ comparisons: [TEXT], ...plan }));
}

const kindsOf = ({ assurances }: BundleVerification): string[] => assurances.map(({ assurance }) => assurance);
const within = ({ assurances }: BundleVerification) => {
  const found = assurances.find(({ assurance }) => assurance === 'replicated-within-tolerance');
  if (found === undefined) throw new TypeError('it is not claimed');
  return found;
};

describe('training rounds compared within tolerances', () => {
  it('are said to be within them, with the largest difference, and not to be identical', async () => {
    const verification = await verify({ reports: ['loss 1.00', 'loss 1.08', 'loss 1.16'] });
    expect(verification.verdict).toBe('valid');
    expect(kindsOf(verification)).toEqual(['signed', 'replicated-within-tolerance']);
    const { statement, by, assumes, doesNotClaim } = within(verification);
    expect(by.toSorted()).toEqual([1, 2, 3].map((index) => party(index).peer as string).toSorted());
    expect(statement).toContain('3 of 3 replicas');
    expect(statement).toContain(`of provider ${party(2).peer.slice(0, 8)}`);
    expect(statement).toContain('/report.txt as text (0.1 + 0 · the larger value)');
    expect(statement).toContain('the other 1 of 2 output files byte for byte');
    expect(statement).toMatch(/The largest difference is 1\.08 and 1(\.16)? at element 1 of \/report\.txt, 80\.0 %/);
    expect(assumes.join(' ')).toContain('small for what the result is used for');
    expect(doesNotClaim.join(' ')).toContain('byte-identical');
    expect(verification.notProven.join(' ')).not.toContain('no second provider');
  });

  it('are replicated where they are identical, whatever the job tolerates', async () => {
    const same = (result: Result): Result => ({ ...result, fuel: 500_000 });
    const verification = await verify({ reports: ['loss 1', 'loss 1'], result: same });
    expect(kindsOf(verification)).toEqual(['signed', 'replicated']);
    expect(verification.verdict).toBe('valid');
  });

  it('are within tolerance, not replicated, where only their files are identical', async () => {
    const verification = await verify({ reports: ['loss 1', 'loss 1'], comparisons: undefined });
    expect(verification.verdict).toBe('valid');
    expect(within(verification).statement).toContain('All of their files are byte-identical');
  });

  it('name the one that dissents, and by how much', async () => {
    const verification = await verify({ reports: ['loss 1', 'loss 1.05', 'loss 3'] });
    expect(verification.verdict).toBe('valid');
    expect(within(verification).statement).toMatch(
      /2 of 3 replicas.*Replica 3 \(.*\) dissents: \/report\.txt is beyond its tolerance at element 1: (1|3) and (1|3)/,
    );
  });

  it.each([
    ['beyond them', { reports: ['loss 1', 'loss 2', 'loss 3'] }],
    ['without any', { reports: ['loss 1', 'loss 1.01', 'loss 1.02'], comparisons: undefined }],
    ['of another file', { reports: ['loss 1', 'loss 1.01'], comparisons: [{ ...TEXT, path: '/model.bin' }] }],
    [
      'of another outcome',
      {
        reports: ['loss 1', 'loss 1.01'],
        result: (result: Result, replica: number): Result =>
          replica === 0 ? result : { ...result, outcome: { kind: 'program-failed', code: 'TRAP', detail: '' } },
      },
    ],
  ] satisfies [string, Plan][])('are invalid %s', async (_what, plan) => {
    const verification = await verify(plan);
    expect(verification.verdict).toBe('invalid');
    expect(within(verification).verdict).toMatchObject({ kind: 'invalid', code: 'NO_QUORUM' });
  });

  it('are unchecked where files that it takes are missing, and name them', async () => {
    const reports = ['loss 1.00', 'loss 1.08', 'loss 1.16'];
    for (const leftOut of [reports.slice(0, 2), reports]) {
      const verification = await verify({ reports, leftOut });
      expect(verification.verdict).toBe('unchecked');
      const { verdict } = within(verification);
      expect(verdict).toMatchObject({ kind: 'unchecked', missing: expect.stringMatching(/^output files .*bafk/) });
    }
  });

  it('need the files of a quorum alone, and say whose are missing', async () => {
    const verification = await verify({ reports: ['loss 1', 'loss 1.05', 'loss 1.02'], leftOut: ['loss 1.05'] });
    expect(verification.verdict).toBe('valid');
    expect(within(verification).statement).toMatch(/2 of 3 replicas.*Whether Replica 2 \(.*\) agrees is not known/);
  });

  it('are refused where an output was altered', async () => {
    const file = await build({ reports: ['loss 1.00', 'loss 1.08'], comparisons: [TEXT] });
    const at = Buffer.from(file).lastIndexOf('1.08');
    file[at] = '2'.charCodeAt(0);
    await expect(verifyBundle(file)).rejects.toMatchObject({ code: 'BUNDLE_HASH_MISMATCH' });
  });

  it('are invalid where a tolerance was altered', async () => {
    const comparisons = [TEXT];
    const strict = await buildBundle({
      replicas: 2,
      checkpoints: { every: 5 },
      lies: { job: (job) => asRounds(job, comparisons) },
    });
    const loose = await buildBundle({
      replicas: 2,
      checkpoints: { every: 5 },
      lies: {
        job: (job) => asRounds(job, [{ ...TEXT, absolute: '9' }]),
        // Signed by a provider: the requester's signature cannot be had.
        signers: { job: 1 },
      },
    });
    const bundle = { ...strict.bundle, job: loose.bundle.job };
    expect((await verifyBundle(await packBundle(bundle, strict.chains))).verdict).toBe('invalid');
  });
});
