import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Arm, CrashPoints, formatArm, parseArm } from '../../../../scripts/chaos/crash-points.ts';
import { nameCommit } from '../../../../scripts/chaos/point-names.ts';
import { encodeCanonical } from '../../../../src/lib/canonical-cbor.ts';
import type { WriteOperation } from '../../../../src/storage/interface.ts';
import type { NamespaceName } from '../../../../src/storage/namespaces.ts';

const put = (namespace: NamespaceName, key: string, value: unknown = null): WriteOperation => ({
  kind: 'put',
  namespace,
  key,
  value: encodeCanonical(value),
});
const CONCLUDED = [
  put('job-history', 'j/1', [{ kind: 'revealed' }, { kind: 'concluded' }]),
  put('job-objects', 'j/l/receipt'),
  put('jobs', 'j/end'),
];

describe('names of points', () => {
  it('say what is written, whatever shares the commit', () => {
    expect(nameCommit(CONCLUDED)).toEqual([
      'job-history=concluded',
      'job-history=revealed',
      'job-objects=receipt',
      'jobs=end',
    ]);
    expect(nameCommit([put('leases', 'l', { phase: 'running' }), put('jobs', 'j'), put('jobs', 'k')])).toEqual([
      'jobs=new',
      'leases=running',
    ]);
    expect(nameCommit([{ kind: 'delete', namespace: 'leases', key: 'l' }])).toEqual(['leases=delete']);
    expect(nameCommit([put('job-checkpoints', 'j/held'), put('job-checkpoints', 'j/l/1')])).toEqual([
      'job-checkpoints',
      'job-checkpoints=held',
    ]);
    expect(nameCommit([put('snapshots', 'provider/l/2'), put('known-peers', 'p')])).toEqual([
      'known-peers',
      'snapshots=provider',
    ]);
  });

  it('are found for bytes that are none of ours', () => {
    fc.assert(
      fc.property(fc.uint8Array(), fc.constantFrom('leases' as const, 'job-history' as const), (value, namespace) => {
        const names = nameCommit([{ kind: 'put', namespace, key: 'x', value }]);
        expect(names.every((name) => name.startsWith(namespace))).toBe(true);
      }),
    );
  });
});

describe('what is armed', () => {
  it('is read as it is written', () => {
    const arms = fc.record({
      point: fc.constantFrom('jobs=new', 'disk/snapshots=rename', '*'),
      side: fc.constantFrom('before' as const, 'after' as const),
      nth: fc.integer({ min: 1, max: 999_999 }),
    });
    fc.assert(
      fc.property(arms, (arm) => {
        expect(parseArm(formatArm(arm))).toEqual(arm);
      }),
    );
    for (const text of ['', 'jobs', 'jobs:before', 'jobs:before:0', 'jobs:beside:1', ':before:1']) {
      expect(() => parseArm(text)).toThrow(TypeError);
    }
  });
});

function watch(): { points: CrashPoints; deaths: Arm[]; seen: string[]; slept: number[] } {
  const deaths: Arm[] = [];
  const seen: string[] = [];
  const slept: number[] = [];
  const points = new CrashPoints({
    die: (arms) => deaths.push(...arms),
    onPoint: (name) => seen.push(name),
    sleep: async (ms) => void slept.push(ms),
  });
  return { points, deaths, seen, slept };
}

describe('CrashPoints', () => {
  const commit = async (points: CrashPoints, operations: readonly WriteOperation[]): Promise<void> => {
    await points.writes.before(operations, {});
    await points.writes.after(operations, {});
  };

  it('dies the nth time on the side that is armed, and once', async () => {
    const { points, deaths } = watch();
    points.arm([parseArm('jobs=end:after:2')]);
    await commit(points, [put('jobs', 'j')]);
    await commit(points, CONCLUDED);
    await points.writes.before(CONCLUDED, {});
    expect(deaths).toEqual([]);
    await points.writes.after(CONCLUDED, {});
    await commit(points, CONCLUDED);
    expect(deaths.map(formatArm)).toEqual(['jobs=end:after:2']);
  });

  it('dies at all points at once that a commit passes', async () => {
    const { points, deaths } = watch();
    const arms = ['jobs=end:after:1', 'jobs=new:after:1', 'job-objects=receipt:after:1'].map(parseArm);
    points.arm(arms);
    await commit(points, CONCLUDED);
    expect(deaths.map(formatArm)).toEqual(['jobs=end:after:1', 'job-objects=receipt:after:1']);
  });

  it('dies at the nth change of any kind, and says which it was', async () => {
    const { points, deaths } = watch();
    points.arm([parseArm('*:before:3')]);
    await commit(points, [put('jobs', 'j')]);
    await points.disk.before({ store: 'snapshots', kind: 'write', name: 'x' });
    expect(deaths).toEqual([]);
    await commit(points, [put('leases', 'l', { phase: 'ended' })]);
    expect(deaths.map(formatArm)).toEqual(['leases=ended:before:3']);
  });

  it('tells of each point once, of the disk too', async () => {
    const { points, seen } = watch();
    await commit(points, [put('jobs', 'j')]);
    await commit(points, [put('jobs', 'k')]);
    await points.disk.after({ store: 'snapshots', kind: 'rename', name: 'x' });
    expect(seen).toEqual(['jobs=new', 'disk/snapshots=rename']);
  });

  it('goes on counting where a point stays armed, and begins anew where it did not', async () => {
    const { points, deaths } = watch();
    const [second, other] = [parseArm('jobs=new:before:2'), parseArm('leases=new:before:1')];
    points.arm([second]);
    await commit(points, [put('jobs', 'j')]);
    points.arm([]);
    points.arm([second, other]);
    await commit(points, [put('jobs', 'j')]);
    expect(deaths).toEqual([]);
    points.arm([second]);
    await commit(points, [put('jobs', 'j')]);
    expect(deaths).toEqual([second]);
  });

  it('delays commits', async () => {
    const { points, slept } = watch();
    points.delayWrites(30);
    await commit(points, [put('jobs', 'j')]);
    expect(slept).toEqual([30]);
  });
});
