import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MAX_CHECKPOINTS } from '../../../src/domain/checkpoint.ts';
import { UnixMs } from '../../../src/domain/ids.ts';
import type { Job } from '../../../src/domain/job.ts';
import { encodeHex } from '../../../src/lib/bytes.ts';
import { type ChainLink, computeInputRoot, decodeLinks, encodeLinks } from '../../../src/proofs/checkpoint-chain.ts';
import { readIdDigest } from '../../../src/proofs/id-digest.ts';
import { jobs } from '../../support/domain-arbitraries.ts';
import { wasmOf } from '../../support/workload.ts';

const digests = fc.uint8Array({ minLength: 32, maxLength: 32 });
const links: fc.Arbitrary<ChainLink[]> = fc.array(
  fc.record({ step: fc.maxSafeNat(), stateRoot: digests, metricsHash: digests, atMs: fc.nat().map(UnixMs) }),
  { maxLength: 5 },
);

describe('the links of a chain', () => {
  it('come back as they were', () => {
    fc.assert(
      fc.property(links, (written) => {
        expect(decodeLinks(encodeLinks(written))).toEqual(written);
      }),
    );
  });

  it('are refused unless they are whole records of numbers that fit, and not too many', () => {
    const refusal = expect.objectContaining({ code: 'PROOFS_BAD_LINKS' }) as Error;
    expect(() => decodeLinks(new Uint8Array(79))).toThrow(refusal);
    expect(() => decodeLinks(new Uint8Array(80 * (MAX_CHECKPOINTS + 1)))).toThrow(refusal);
    for (const offset of [0, 72]) {
      const record = new Uint8Array(80);
      record[offset] = 1;
      expect(() => decodeLinks(record)).toThrow(refusal);
    }
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 160, maxLength: 160 }), (bytes) => {
        try {
          expect(encodeLinks(decodeLinks(bytes))).toEqual(bytes);
        } catch (error) {
          expect(error).toMatchObject({ code: 'PROOFS_BAD_LINKS' });
        }
      }),
    );
  });
});

/** A job with a path twice is refused where it is submitted and where its bundle is verified. */
const hasDistinctPaths = ({ inputs }: Pick<Job, 'inputs'>): boolean =>
  new Set(inputs.map(({ path }) => path)).size === inputs.length;

describe('the input root', () => {
  it('follows from module, seed and inputs, in whatever order these are listed', () => {
    fc.assert(
      fc.property(jobs.filter(hasDistinctPaths), (job) => {
        const root = encodeHex(computeInputRoot(job));
        expect(encodeHex(computeInputRoot({ ...job, inputs: job.inputs.toReversed() }))).toBe(root);
        const workload = wasmOf(job.workload);
        const seed = workload.seed.map((byte) => byte ^ 1);
        expect(encodeHex(computeInputRoot({ ...job, workload: { ...workload, seed } }))).not.toBe(root);
        const moduleSizeBytes = workload.moduleSizeBytes === 8 ? 9 : 8;
        expect(encodeHex(computeInputRoot({ ...job, workload: { ...workload, moduleSizeBytes } }))).not.toBe(root);
      }),
      { numRuns: 50 },
    );
  });

  it('of what is no module follows from all that the workload says', () => {
    const command: Job['workload'] = {
      kind: 'command',
      root: { kind: 'host' },
      program: '/bin/true',
      arguments: [],
      environment: {},
      limits: { cpus: 1000, processes: 4, scratchBytes: 4096 },
    };
    const roots = [
      command,
      { ...command, program: '/bin/false' },
      { ...command, arguments: ['a'] },
      { ...command, environment: { A: 'b' } },
      { ...command, limits: { ...command.limits, cpus: 999 } },
    ].map((workload) => encodeHex(computeInputRoot({ workload, inputs: [] })));
    expect(new Set(roots).size).toBe(roots.length);
  });
});

describe('the digest in an id', () => {
  it('is refused where the id holds none', () => {
    for (const id of ['', 'x', 'bafyaaa', 'QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG1']) {
      expect(() => readIdDigest(id)).toThrow(expect.objectContaining({ code: 'PROOFS_NO_DIGEST' }) as Error);
    }
  });
});
