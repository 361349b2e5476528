import fc from 'fast-check';
import { expect, it } from 'vitest';
import { computeBlobId } from '../../../../src/domain/blob-tree.ts';
import type { BlobResponse } from '../../../../src/domain/messages.ts';
import { DaemonError } from '../../../../src/lib/errors.ts';
import { bytesOfLeaves, fetchRequest, isSame, type TransferPeer, TransferRig } from '../../../support/transfer-rig.ts';

const BYTES = bytesOfLeaves(3, 5);
const BLOB = computeBlobId(BYTES);
const FAULTS = ['none', 'flip', 'cut', 'silent', 'lose', 'other-leaf', 'not-found', 'node'] as const;
type Fault = (typeof FAULTS)[number];

/** Each answer of a source suffers the next fault of its schedule; after that it is honest, or goes on so for ever. */
function disturb(rig: TransferRig, source: TransferPeer, schedule: readonly Fault[]): void {
  let next = 0;
  source.behave = async function* (_request, answer, { signal }) {
    const fault = schedule[next++] ?? 'none';
    if (fault === 'lose') rig.mesh.dropStreams(source.peer);
    if (fault === 'not-found') {
      yield { kind: 'not-found' };
      return;
    }
    for await (const part of answer()) {
      if (fault === 'silent') {
        await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
        return;
      }
      yield damage(part, fault);
      if (fault === 'cut') return;
    }
  };
}

function damage(part: BlobResponse, fault: Fault): BlobResponse {
  if (part.kind === 'node' && fault === 'node') return { kind: 'node', bytes: part.bytes.subarray(1) };
  if (part.kind !== 'leaf-part') return part;
  if (fault === 'other-leaf') return { ...part, leaf: part.leaf ^ 1 };
  if (fault !== 'flip') return part;
  const bytes = part.bytes.slice();
  bytes[0] = (bytes[0] ?? 0) ^ 255;
  return { ...part, bytes };
}

it('gives the right bytes or a typed error, whatever its sources do', { timeout: 60_000 }, async () => {
  let fetched = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(fc.constantFrom(...FAULTS), { maxLength: 6 }), { minLength: 1, maxLength: 3 }),
      async (schedules) => {
        const rig = await TransferRig.create({ stallMs: 1_000 });
        const sources: TransferPeer[] = [];
        for (const [index, schedule] of schedules.entries()) {
          const source = await rig.addPeer(2 + index, BYTES);
          disturb(rig, source, schedule);
          sources.push(source);
        }
        try {
          await rig.settle(rig.transfers.fetchBlob(fetchRequest(BLOB, BYTES, ...sources)), 200);
          expect(isSame(rig.store.blobs.get(BLOB), BYTES)).toBe(true);
          fetched += 1;
        } catch (error) {
          expect(error).toBeInstanceOf(DaemonError);
          expect((error as DaemonError).code).toMatch(/^(TRANSFER|NETWORK)_/);
          expect(rig.store.blobs.size).toBe(0);
        }
        expect(rig.clock.pending).toBe(0);
      },
    ),
    { numRuns: 12 },
  );
  expect(fetched).toBeGreaterThan(0);
});
