import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseHostState as parseElsewhere } from '../../../../src/proofs/host-state.ts';
import { encodeHostState, type HostState, parseHostState } from '../../../../src/wasm/stepping/host-state.ts';

const count = fc.maxSafeNat();
const hostState: fc.Arbitrary<HostState> = fc
  .record({
    isDone: fc.boolean(),
    steps: count,
    fuel: count,
    randomBytes: count,
    outputBytes: fc.constantFrom(0, 1, 70_000),
    logBytes: count,
    logs: count,
    metrics: count,
    pages: fc.nat({ max: 65_536 }),
    isOutputWritten: fc.boolean(),
    nextFuel: count,
    metricsHash: fc.uint8Array({ minLength: 32, maxLength: 32 }),
  })
  .filter(({ outputBytes, isOutputWritten }) => outputBytes === 0 || isOutputWritten);

function parseWithProofs(bytes: Uint8Array): unknown {
  try {
    const { nextCheckpointFuel: nextFuel, ...rest } = parseElsewhere(bytes);
    return { ...rest, nextFuel };
  } catch {
    return null;
  }
}

describe('host state', () => {
  it('comes back as it was', () => {
    fc.assert(
      fc.property(hostState, (state) => {
        const bytes = encodeHostState(state);
        expect(bytes).toHaveLength(108);
        expect(parseHostState(bytes)).toEqual(state);
      }),
    );
  });

  it('reads whatever bytes as the other reader of the format does', () => {
    const change = fc.tuple(fc.nat({ max: 107 }), fc.nat({ max: 255 }));
    fc.assert(
      fc.property(
        hostState,
        fc.array(change, { maxLength: 3 }),
        fc.constantFrom(108, 108, 108, 107, 0),
        (state, changes, length) => {
          const bytes = encodeHostState(state);
          for (const [at, value] of changes) bytes[at] = value;
          const cut = bytes.subarray(0, length);
          expect(parseHostState(cut)).toEqual(parseWithProofs(cut));
        },
      ),
    );
  });
});
