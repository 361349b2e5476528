import { describe, expect, it } from 'vitest';
import type { BundleVerification } from '../../../src/bundle/interface.ts';
import { verifyBundle } from '../../../src/bundle/verify.ts';
import type { AssuranceReport } from '../../../src/domain/assurance.ts';
import { UnixMs } from '../../../src/domain/ids.ts';
import { type BuildOptions, buildBundle, packBundle, party, START_MS } from '../../support/bundle-builder.ts';

async function verify(options: BuildOptions, nowMs?: number): Promise<BundleVerification> {
  const { bundle } = await buildBundle(options);
  return await verifyBundle(await packBundle(bundle), nowMs === undefined ? {} : { nowMs });
}

function report(verification: BundleVerification, assurance: string): AssuranceReport {
  const found = verification.assurances.find((candidate) => candidate.assurance === assurance);
  if (found === undefined) throw new Error(`no ${assurance}`);
  return found;
}

function uncheckedNames(verification: BundleVerification): string[] {
  return verification.assurances
    .flatMap(({ checks }) => checks)
    .filter(({ verdict }) => verdict.kind === 'unchecked')
    .map(({ name }) => name);
}

describe('an honest bundle', () => {
  it('of one provider is valid, and does not claim replication', async () => {
    const verification = await verify({});
    expect(verification.verdict).toBe('valid');
    expect(verification.assurances.map(({ assurance }) => assurance)).toEqual(['signed']);
    expect(verification.outcome).toBe('completed');
    expect(report(verification, 'signed').by).toEqual([party(1).peer]);
    expect(verification.notProven.join(' ')).toContain('no second provider');
  });

  it('of three providers is valid, and names them, the quorum and the rule', async () => {
    const verification = await verify({ replicas: 3 });
    expect(verification.verdict).toBe('valid');
    const { statement, by } = report(verification, 'replicated');
    expect(by).toEqual([party(1).peer, party(2).peer, party(3).peer]);
    expect(statement).toContain('3 of 3 replicas');
    expect(statement).toContain('The job demands 2');
    expect(statement).toContain("rule 'peer'");
    expect(statement).toContain('500000 units of fuel');
  });

  it('is valid with its inputs and module in the file', async () => {
    expect((await verify({ replicas: 2, content: 'everything' })).verdict).toBe('valid');
  });

  it('is unchecked where its outputs are not in the file, and names them', async () => {
    const verification = await verify({ content: 'evidence' });
    expect(verification.verdict).toBe('unchecked');
    expect(uncheckedNames(verification)).toEqual(['outputs in the file']);
    const { verdict } = report(verification, 'signed');
    expect(verdict.kind === 'unchecked' ? verdict.missing : '').toMatch(/\/model\.bin .*\/report\.txt/);
  });

  it('is valid with a job that was signed in a batch', async () => {
    expect((await verify({ replicas: 3, jobSigning: 'batch' })).verdict).toBe('valid');
  });

  it('is read in pieces of any size', async () => {
    const bytes = await packBundle((await buildBundle({ replicas: 3, content: 'everything' })).bundle);
    for (const size of [1, 7, 1000]) {
      const pieces = async function* () {
        for (let offset = 0; offset < bytes.length; offset += size) yield bytes.subarray(offset, offset + size);
      };
      expect((await verifyBundle(pieces())).verdict).toBe('valid');
    }
  });
});

describe('replicas that do not agree or are not there', () => {
  it('names a dissenter and the figure in which it differs, and stays valid with a quorum', async () => {
    const verification = await verify({
      replicas: 3,
      lies: { result: (result, replica) => (replica === 2 ? { ...result, fuel: 499_999 } : result) },
    });
    expect(verification.verdict).toBe('valid');
    const { statement, by } = report(verification, 'replicated');
    expect(by).toHaveLength(2);
    expect(statement).toContain('2 of 3 replicas');
    expect(statement).toMatch(/Replica 3 .* dissents: fuel 499999 and not 500000/);
  });

  it('is invalid without a quorum', async () => {
    const verification = await verify({
      replicas: 3,
      lies: { result: (result, replica) => ({ ...result, fuel: 400_000 + replica }) },
    });
    expect(report(verification, 'replicated').verdict).toMatchObject({ kind: 'invalid', code: 'NO_QUORUM' });
    expect(report(verification, 'signed').verdict).toMatchObject({ kind: 'invalid', code: 'NO_RESULT' });
  });

  it('names a replica that committed and withheld its result', async () => {
    const verification = await verify({ replicas: 3, withheld: [1] });
    expect(verification.verdict).toBe('valid');
    expect(report(verification, 'replicated').statement).toMatch(/Replica 2 .* its result is not in this file/);
  });

  it('is unchecked where a commitment of the set is hidden, though the rest agrees', async () => {
    const verification = await verify({
      replicas: 3,
      withheld: [1],
      lies: {
        bundle: (bundle) => ({ ...bundle, unrevealed: [], missingReplicas: [{ replica: 1, reason: 'it crashed' }] }),
      },
    });
    expect(verification.verdict).toBe('unchecked');
    expect(uncheckedNames(verification)).toEqual(['set complete']);
    expect(report(verification, 'replicated').statement).toContain(
      'Replica 2 is missing; whoever wrote the file says why, unproven: "it crashed".',
    );
  });

  it('does not count a replica that never committed, and says so', async () => {
    const verification = await verify({ replicas: 3, late: [0] });
    expect(verification.verdict).toBe('valid');
    const { statement } = report(verification, 'replicated');
    expect(statement).toContain('2 of 3 replicas');
    expect(statement).toMatch(/Replica 1 .* did not commit before the others revealed/);
  });

  it('does not reach a quorum with replicas that never committed', async () => {
    const verification = await verify({ replicas: 3, late: [0, 1] });
    expect(report(verification, 'replicated').verdict).toMatchObject({ kind: 'invalid', code: 'NO_QUORUM' });
  });
});

describe('times', () => {
  it('is valid where the clock of the verifier has passed them', async () => {
    expect((await verify({}, START_MS + 20_000)).verdict).toBe('valid');
  });

  it('is unchecked where they lie ahead of the clock by more than the skew', async () => {
    const verification = await verify({}, START_MS - 20_000);
    expect(uncheckedNames(verification)).toEqual(['times past']);
  });

  it('needs the last progress where the run outlasted the first term of its lease', async () => {
    const lies: NonNullable<BuildOptions['lies']> = {
      receipt: (receipt) => ({ ...receipt, finishedAtMs: UnixMs(START_MS + 300_000) }),
    };
    expect(uncheckedNames(await verify({ lies }))).toEqual(['attempt 1: lease renewal']);
    const renewed: typeof lies = { ...lies, progress: (value) => ({ ...value, atMs: UnixMs(START_MS + 290_000) }) };
    expect((await verify({ withProgress: true, lies: renewed })).verdict).toBe('valid');
    const stale = await verify({ withProgress: true, lies });
    expect(report(stale, 'signed').verdict).toMatchObject({ kind: 'invalid', code: 'WRONG_TIME' });
  });
});
