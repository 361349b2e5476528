import { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import tar from 'tar-stream';
import { describeError, InternalError, isDaemonError } from '../../lib/errors.ts';
import { SandboxError } from '../errors.ts';

const CHUNK_BYTES = 1024 * 1024;
/** What a file system says to an archive that asks for too much, and not to this host. */
const REFUSING_ERRNOS = new Set(['ENAMETOOLONG', 'EMLINK', 'ELOOP', 'EILSEQ']);

export interface EntryHead {
  readonly name: string;
  readonly type?: string | null | undefined;
  readonly mode?: number | undefined;
  readonly linkname?: string | null | undefined;
}

type Stage = NodeJS.ReadableStream | NodeJS.ReadWriteStream;

/**
 * Gives each entry of a tar to `add`, one after the other. A header of more than 4 MiB is refused by tar-stream itself.
 * @param stages the bytes, and what they go through until they are a plain tar
 * @throws SandboxError SANDBOX_ROOT_REFUSED for what the archive may not hold; Error of the file system; the signal's reason
 */
export async function readTar(
  stages: readonly Stage[],
  add: (head: EntryHead, content: Readable) => Promise<void>,
  signal?: AbortSignal,
): Promise<void> {
  const extract = tar.extract();
  const feeding = pipeline([...stages, extract] as never, { signal }) as unknown as Promise<void>;
  feeding.catch(() => {});
  let refused: { readonly error: unknown } | undefined;
  try {
    for await (const entry of extract) {
      await add(entry.header, entry as unknown as Readable).catch((error: unknown) => {
        if (!isEndOfStream(error)) refused = { error };
        throw error;
      });
      entry.resume();
    }
    await feeding;
  } catch (error) {
    // What `add` says ends the stream as well; else the cause is what ended it, of which its reader sees a closed one.
    const cause = await feeding.then(
      () => error,
      (reason: unknown) => reason,
    );
    throw refused === undefined
      ? toRefusal(cause)
      : asksTooMuch(refused.error)
        ? toRefusal(refused.error)
        : refused.error;
  } finally {
    extract.destroy();
  }
}

export function* splitBytes(bytes: Uint8Array): Generator<Uint8Array> {
  for (let start = 0; start < bytes.length; start += CHUNK_BYTES) yield bytes.subarray(start, start + CHUNK_BYTES);
}

/** Ends a stream that grows beyond what may be unpacked. */
export function limitStream(maxBytes: number): Transform {
  let seen = 0;
  return new Transform({
    transform(chunk: Uint8Array, _encoding, done) {
      seen += chunk.length;
      if (seen > maxBytes) done(refuse(`it holds more than ${maxBytes} bytes`));
      else done(null, chunk);
    },
  });
}

/** Errors of the file system and of other folders, and aborts, stay what they are: the archive is not to blame. */
function toRefusal(error: unknown): unknown {
  if (isDaemonError(error) || error instanceof InternalError || !(error instanceof Error)) return error;
  return ('syscall' in error && !asksTooMuch(error)) || error.name === 'AbortError'
    ? error
    : refuse(describeError(error));
}

/** Whoever reads what an entry has sees no more than this where the stream ended in an error before (streamx, node:stream). */
function isEndOfStream(error: unknown): boolean {
  const codes = ['STREAM_DESTROYED', 'PREMATURE_CLOSE', 'ERR_STREAM_DESTROYED', 'ERR_STREAM_PREMATURE_CLOSE'];
  return error instanceof Error && 'code' in error && codes.includes(String(error.code));
}

function asksTooMuch(error: unknown): boolean {
  return error instanceof Error && 'code' in error && REFUSING_ERRNOS.has(String(error.code));
}

export function refuse(reason: string): SandboxError {
  return new SandboxError({ code: 'SANDBOX_ROOT_REFUSED', reason });
}

/** A path as messages have it. */
export function shown(path: string): string {
  return JSON.stringify(path.length > 80 ? `${path.slice(0, 79)}…` : path);
}
