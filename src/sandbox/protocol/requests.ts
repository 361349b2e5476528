/**
 * From the parent to a child. A child trusts its parent: these frames are not size-limited but by what the parent
 * accepts itself.
 */
import type { FieldReader, FrameWriter } from './fields.ts';

export const REQUEST = { module: 1, drop: 2, run: 3 } as const;

export interface RunRequest {
  readonly digest: Uint8Array;
  readonly abi: 'wasi' | 'fogproof';
  readonly maxPages: number;
  readonly fuel: number;
  readonly outputBytes: number;
  readonly logBytes: number;
  readonly seed: Uint8Array;
  readonly arguments: readonly string[];
  readonly environment: readonly (readonly [string, string])[];
  /** The bytes follow the frame, in this order. */
  readonly inputs: readonly { readonly path: string; readonly sizeBytes: number }[];
}

const ABI_NAMES = ['wasi', 'fogproof'] as const;
const DIGEST_BYTES = 32;
const ANY_LENGTH = Number.MAX_SAFE_INTEGER;

/** The module's bytes follow the frame's head. */
export function writeModuleHead(writer: FrameWriter, digest: Uint8Array, sizeBytes: number): void {
  writer.begin(REQUEST.module);
  writer.raw(digest);
  writer.end(sizeBytes);
}

export function writeDrop(writer: FrameWriter, digest: Uint8Array): void {
  writer.begin(REQUEST.drop);
  writer.raw(digest);
  writer.end();
}

export function writeRun(writer: FrameWriter, request: RunRequest): void {
  writer.begin(REQUEST.run);
  writer.raw(request.digest);
  writer.u8(ABI_NAMES.indexOf(request.abi));
  writer.u32(request.maxPages);
  writer.u64(request.fuel);
  writer.u64(request.outputBytes);
  writer.u64(request.logBytes);
  writer.raw(request.seed);
  writer.u32(request.arguments.length);
  for (const argument of request.arguments) writer.text(argument);
  writer.u32(request.environment.length);
  for (const [name, value] of request.environment) {
    writer.text(name);
    writer.text(value);
  }
  writer.u32(request.inputs.length);
  for (const input of request.inputs) {
    writer.text(input.path);
    writer.u32(input.sizeBytes);
  }
  writer.end();
}

function readMany<T>(reader: FieldReader, read: () => T): T[] {
  const count = reader.u32();
  const items: T[] = [];
  for (let index = 0; index < count; index++) items.push(read());
  return items;
}

export function readRun(reader: FieldReader): RunRequest {
  const request: RunRequest = {
    digest: reader.raw(DIGEST_BYTES),
    abi: ABI_NAMES[reader.u8()] ?? 'wasi',
    maxPages: reader.u32(),
    fuel: reader.u64(),
    outputBytes: reader.u64(),
    logBytes: reader.u64(),
    seed: reader.raw(DIGEST_BYTES),
    arguments: readMany(reader, () => reader.text(ANY_LENGTH)),
    environment: readMany(reader, () => [reader.text(ANY_LENGTH), reader.text(ANY_LENGTH)] as const),
    inputs: readMany(reader, () => ({ path: reader.text(ANY_LENGTH), sizeBytes: reader.u32() })),
  };
  reader.end();
  return request;
}
