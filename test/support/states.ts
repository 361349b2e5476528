import { createHash } from 'node:crypto';
import type { SnapshotState } from '../../src/domain/snapshot.ts';
import { encodeHostState, type HostState } from '../../src/proofs/host-state.ts';

export interface MemoryParts {
  readonly host?: Partial<HostState>;
  /** Whole pages, by their bytes or by a byte that fills them. */
  readonly pages?: readonly (Uint8Array | number)[];
  readonly output?: Uint8Array;
}

const PAGE_BYTES = 65_536;
const NO_METRICS = createHash('sha256').digest();

function digestAll(pieces: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(pieces.map((piece) => createHash('sha256').update(piece).digest())));
}

export function fillPage(value: number): Uint8Array {
  return new Uint8Array(PAGE_BYTES).fill(value);
}

/** A state of a stepping module that fits together, but for what a test says otherwise. */
export function buildMemoryState(parts: MemoryParts = {}): Extract<SnapshotState, { kind: 'memory' }> {
  const pages = (parts.pages ?? []).map((page) => (typeof page === 'number' ? fillPage(page) : page));
  const output = parts.output ?? new Uint8Array(0);
  const outputPieces: Uint8Array[] = [];
  for (let start = 0; start < output.length; start += PAGE_BYTES) {
    outputPieces.push(output.subarray(start, start + PAGE_BYTES));
  }
  const host: HostState = {
    ...{ isDone: false, steps: 0, fuel: 0, randomBytes: 0, logBytes: 0, logs: 0, metrics: 0 },
    ...{ outputBytes: output.length, isOutputWritten: output.length > 0, pages: pages.length },
    ...{ nextCheckpointFuel: 0, metricsHash: new Uint8Array(NO_METRICS) },
    ...parts.host,
  };
  return {
    kind: 'memory',
    host: encodeHostState(host),
    globals: new Uint8Array(0),
    pages: digestAll(pages),
    output: digestAll(outputPieces),
  };
}
