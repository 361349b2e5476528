import type { SnapshotState } from '../../domain/snapshot.ts';
import { SandboxError } from '../errors.ts';
import type { FieldReader, FrameWriter } from './fields.ts';

const STATE_KINDS = ['memory', 'files'] as const;
/** docs/stepping.md section 3.1. */
const HOST_STATE_BYTES = 108;
/** Longest path in bytes: 512 characters of at most 3 bytes in UTF-8 (domain/job.ts, jobPathSchema). */
export const MAX_PATH_BYTES = 1536;

/** A state, in both directions: as it is at a checkpoint, and to go on from. */
export function writeState(writer: FrameWriter, state: SnapshotState): void {
  writer.u8(STATE_KINDS.indexOf(state.kind));
  if (state.kind === 'memory') {
    writer.raw(state.host);
    writer.bytes(state.globals);
    writer.bytes(state.pages);
    writer.bytes(state.output);
    return;
  }
  writer.u32(state.files.length);
  for (const file of state.files) {
    writer.text(file.path);
    writer.u64(file.sizeBytes);
    writer.bytes(file.pieces);
  }
}

/** What the bytes say, whether it makes sense or not. @throws SandboxError SANDBOX_PROTOCOL if they say nothing */
export function readState(reader: FieldReader): SnapshotState {
  const kind = STATE_KINDS[reader.u8()];
  switch (kind) {
    case 'memory':
      return {
        kind,
        host: reader.raw(HOST_STATE_BYTES),
        globals: reader.bytes(),
        pages: reader.bytes(),
        output: reader.bytes(),
      };
    case 'files':
      return {
        kind,
        files: reader.list(() => ({
          path: reader.text(MAX_PATH_BYTES),
          sizeBytes: reader.u64(),
          pieces: reader.bytes(),
        })),
      };
    case undefined:
      throw new SandboxError({ code: 'SANDBOX_PROTOCOL', reason: 'unknown kind of state' });
    default:
      return kind satisfies never;
  }
}
