import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeObject } from '../../../src/domain/object-type.ts';
import type { SnapshotState } from '../../../src/domain/snapshot.ts';
import { SNAPSHOT } from '../../../src/domain/snapshot.ts';
import { encodeHex, encodeU64, encodeUtf8 } from '../../../src/lib/bytes.ts';
import { sha256 } from '../../../src/lib/cid.ts';
import { encodeHostState } from '../../../src/proofs/host-state.ts';
import { createPlainSnapshot, openPlainSnapshot } from '../../../src/proofs/plain-snapshot.ts';
import {
  listPieces,
  locatePiece,
  placePieces,
  ZERO_PAGE_DIGEST,
  ZERO_PIECE,
} from '../../../src/proofs/state-pieces.ts';
import { computeStateRoot } from '../../../src/proofs/state-root.ts';
import { jobIds } from '../../support/domain-arbitraries.ts';
import { computeNaiveRoot } from '../../support/naive-merkle.ts';

/** Few contents, so that pages repeat; 0 is the page of zeros. */
const digestOf = (content: number): Uint8Array => (content === 0 ? ZERO_PAGE_DIGEST : sha256(Uint8Array.of(content)));
const join = (contents: readonly number[]): Uint8Array => new Uint8Array(Buffer.concat(contents.map(digestOf)));
const contents = (maxLength: number) => fc.array(fc.nat({ max: 5 }), { maxLength });

function memoryState(pages: readonly number[], output: readonly number[], globals = 2): SnapshotState {
  return {
    kind: 'memory',
    host: encodeHostState({
      isDone: false,
      steps: 1,
      fuel: 2,
      randomBytes: 0,
      outputBytes: output.length * 65_536,
      logBytes: 0,
      logs: 0,
      metrics: 0,
      pages: pages.length,
      isOutputWritten: true,
      nextCheckpointFuel: 0,
      metricsHash: new Uint8Array(32),
    }),
    globals: new Uint8Array(globals * 9).fill(3),
    pages: join(pages),
    output: join(output),
  };
}

const memoryStates = fc.tuple(contents(9), contents(3)).map(([pages, output]) => memoryState(pages, output));
const fileStates: fc.Arbitrary<SnapshotState> = fc
  .uniqueArray(fc.tuple(fc.constantFrom('/a', '/b/c', '/b', '/\u{1F600}', '/\uFFFD'), contents(3)), {
    selector: ([path]) => path,
  })
  .map((files) => ({
    kind: 'files',
    files: files
      .toSorted(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
      .map(([path, pieces]) => ({ path, sizeBytes: pieces.length * 65_536, pieces: join(pieces) })),
  }));
const states = fc.oneof(memoryStates, fileStates);

function listLeaves(state: SnapshotState): Uint8Array[] {
  const cut = (digests: Uint8Array, tag: number) =>
    Array.from({ length: digests.length / 32 }, (_, index) =>
      Buffer.concat([Uint8Array.of(tag), digests.subarray(index * 32, index * 32 + 32)]),
    );
  if (state.kind === 'memory') {
    return [
      Buffer.concat([Uint8Array.of(1), state.host]),
      Buffer.concat([Uint8Array.of(2), state.globals]),
      ...cut(state.pages, 3),
      ...cut(state.output, 5),
    ];
  }
  return state.files.map(({ path, sizeBytes, pieces }) => {
    const name = encodeUtf8(path);
    return Buffer.concat([Uint8Array.of(4, 0, 0, 0, name.length), name, encodeU64(sizeBytes), pieces]);
  });
}

describe('a state root', () => {
  it('is the Merkle root of section 3.5, or 7', () => {
    fc.assert(
      fc.property(states, (state) => {
        const leaves = listLeaves(state);
        const expected =
          leaves.length === 0
            ? sha256(new Uint8Array())
            : computeNaiveRoot(leaves.map((leaf) => sha256(Uint8Array.of(0), leaf)));
        expect(encodeHex(computeStateRoot(state))).toBe(encodeHex(expected));
      }),
    );
  });

  const state = memoryState([1, 2], [3]);
  it.each<[string, Partial<Extract<SnapshotState, { kind: 'memory' }>>]>([
    ['a page more than the host state says', { pages: join([1, 2, 3]) }],
    ['a page less', { pages: join([1]) }],
    ['a part of a digest', { pages: join([1, 2]).subarray(1) }],
    ['a piece of output more', { output: join([3, 4]) }],
    ['a part of a global', { globals: new Uint8Array(10) }],
    ['another host state', { host: new Uint8Array(108) }],
  ])('is refused with %s', (_, change) => {
    expect(() => computeStateRoot({ ...state, ...change } as SnapshotState)).toThrow(
      expect.objectContaining({ code: expect.stringMatching(/^PROOFS_BAD_(HOST_)?STATE$/) as string }) as Error,
    );
  });

  it.each<[string, { path: string; sizeBytes: number; pieces: Uint8Array }[]]>([
    [
      'files out of order',
      [
        { path: '/b', sizeBytes: 0, pieces: join([]) },
        { path: '/a', sizeBytes: 0, pieces: join([]) },
      ],
    ],
    [
      'a file twice',
      [
        { path: '/a', sizeBytes: 0, pieces: join([]) },
        { path: '/a', sizeBytes: 0, pieces: join([]) },
      ],
    ],
    ['too few pieces', [{ path: '/a', sizeBytes: 65_537, pieces: join([1]) }]],
  ])('is refused with %s', (_, files) => {
    expect(() => computeStateRoot({ kind: 'files', files })).toThrow(
      expect.objectContaining({ code: 'PROOFS_BAD_STATE' }) as Error,
    );
  });
});

describe('pieces of a state', () => {
  it('are its distinct digests in order of first appearance, without the page of zeros', () => {
    fc.assert(
      fc.property(states, (state) => {
        const all = (
          state.kind === 'memory' ? [state.pages, state.output] : state.files.map(({ pieces }) => pieces)
        ).flatMap((list) =>
          Array.from({ length: list.length / 32 }, (_, at) => encodeHex(list.slice(at * 32, at * 32 + 32))),
        );
        const expected = [...new Set(all)].filter((digest) => digest !== encodeHex(ZERO_PAGE_DIGEST));
        expect(encodeHex(listPieces(state))).toBe(expected.join(''));
        const { places } = placePieces(state);
        expect(
          [...places].map((place) => (place === ZERO_PIECE ? encodeHex(ZERO_PAGE_DIGEST) : expected[place])),
        ).toEqual(all);
      }),
    );
  });

  it('are named for people', () => {
    const memory = memoryState([1, 2], [3]);
    expect([0, 1, 2].map((at) => locatePiece(memory, at))).toEqual(['page 0', 'page 1', 'piece 0 of the output']);
    const files: SnapshotState = {
      kind: 'files',
      files: [
        { path: '/a', sizeBytes: 65_536, pieces: join([1]) },
        { path: '/b', sizeBytes: 65_537, pieces: join([2, 3]) },
      ],
    };
    expect([0, 1, 2].map((at) => locatePiece(files, at))).toEqual(['piece 0 of /a', 'piece 0 of /b', 'piece 1 of /b']);
  });
});

describe('a snapshot that is not sealed', () => {
  const bodies = fc.tuple(states, jobIds, fc.nat()).map(([state, job, step]) => ({
    type: 'fogproof/snapshot-body@1' as const,
    job,
    step,
    stateRoot: computeStateRoot(state),
    state,
  }));

  it('comes back with its pieces', () => {
    fc.assert(
      fc.property(bodies, (body) => {
        const opened = openPlainSnapshot(encodeObject(SNAPSHOT, createPlainSnapshot(body)));
        expect(opened.body).toEqual(body);
        expect(encodeHex(opened.pieces)).toBe(encodeHex(listPieces(body.state)));
      }),
    );
  });

  const [body] = fc.sample(bodies, { numRuns: 1, seed: 1 });
  const snapshot = createPlainSnapshot(body as NonNullable<typeof body>);
  it.each([
    ['it is sealed', { ...snapshot, sealed: true }],
    ['its items are others', { ...snapshot, items: sha256(new Uint8Array(1)) }],
    ['it is of another step', { ...snapshot, step: snapshot.step + 1 }],
    ['its body is garbage', { ...snapshot, body: Uint8Array.of(1, 2, 3) }],
  ])('is refused where %s', (_, changed) => {
    expect(() => openPlainSnapshot(encodeObject(SNAPSHOT, changed))).toThrow();
  });
});
