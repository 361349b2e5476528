import { Writable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { PieceFeed } from '../../../src/sandbox/executors/wasm/piece-feed.ts';
import { settleTasks } from '../../support/manual-clock.ts';

const NEVER = new AbortController().signal;

/** A pipe whose other side reads only when a test says so. */
class SlowPipe extends Writable {
  bytes = 0;
  #waiting: (() => void)[] = [];
  isOpen: boolean;

  constructor(isOpen: boolean) {
    super({ highWaterMark: 65_536 });
    this.isOpen = isOpen;
  }

  override _writev(chunks: { chunk: Uint8Array }[], done: () => void): void {
    this.bytes += chunks.reduce((sum, { chunk }) => sum + chunk.length, 0);
    if (this.isOpen) done();
    else this.#waiting.push(done);
  }

  open(): void {
    this.isOpen = true;
    for (const done of this.#waiting.splice(0)) done();
  }
}

interface Source {
  given: number;
  isLetGo: boolean;
  readonly pieces: AsyncIterable<Uint8Array>;
}

function createSource(sizes: readonly number[], end: () => Promise<void> = () => Promise.resolve()): Source {
  const source: Source = { given: 0, isLetGo: false, pieces: give() };
  async function* give(): AsyncGenerator<Uint8Array> {
    try {
      for (const size of sizes) {
        source.given += 1;
        yield new Uint8Array(size);
      }
      await end();
    } finally {
      source.isLetGo = true;
    }
  }
  return source;
}

async function feed(given: readonly number[], sizes: readonly number[], end?: () => Promise<void>): Promise<SlowPipe> {
  const pipe = new SlowPipe(true);
  const pieces = new PieceFeed(createSource(given, end).pieces, { sizes, signal: NEVER });
  try {
    await pieces.open();
    await pieces.writeTo(pipe);
  } catch (error) {
    throw Object.assign(error as Error, { sent: pipe.bytes, isWhole: pieces.isWhole });
  }
  expect(pieces.isWhole).toBe(true);
  await settleTasks();
  return pipe;
}

describe('PieceFeed', () => {
  it('writes all pieces, also where there is none', async () => {
    expect((await feed([65_536, 65_536, 7], [65_536, 65_536, 7])).bytes).toBe(131_079);
    expect((await feed([], [])).bytes).toBe(0);
  });

  it.each<[string, readonly number[], readonly number[]]>([
    ['only 1 came', [5], [5, 5]],
    ['only 0 came', [], [5]],
    ['more came', [5, 5, 5], [5, 5]],
    ['more came', [5], []],
    ['piece 1 has 6 bytes in place of 5', [5, 6], [5, 5]],
  ])('never sends a state that is not whole: %s', async (reason, given, sizes) => {
    const failed = feed(given, sizes);
    await expect(failed).rejects.toMatchObject({ code: 'SANDBOX_RESUME_STATE', isWhole: false });
    await expect(failed).rejects.toThrow(reason);
    const sent = await failed.then(
      () => Number.NaN,
      (error: { sent: number }) => error.sent,
    );
    expect(sent).toBeLessThan(sizes.reduce((sum, size) => sum + size, 1));
  });

  it('gives the source’s own failure as the reason', async () => {
    const cause = new TypeError('the holder has gone');
    await expect(feed([5], [5], () => Promise.reject(cause))).rejects.toMatchObject({
      code: 'SANDBOX_RESUME_STATE',
      message: expect.stringContaining('the holder has gone'),
      isWhole: false,
      cause,
    });
  });

  it('reads no faster than the child does', async () => {
    const pipe = new SlowPipe(false);
    const sizes = new Array<number>(200).fill(65_536);
    const source = createSource(sizes);
    const pieces = new PieceFeed(source.pieces, { sizes, signal: NEVER });
    await pieces.open();
    const written = pieces.writeTo(pipe);
    await settleTasks();
    expect(source.given).toBeLessThan(30);
    pipe.open();
    await written;
    expect(pipe.bytes).toBe(200 * 65_536);
  });

  it.each(['the source gives nothing', 'the child reads nothing'])('ends with its task while %s', async (what) => {
    const controller = new AbortController();
    const isSource = what.startsWith('the source');
    const sizes = new Array<number>(40).fill(65_536);
    const source = createSource(isSource ? [] : sizes, () => new Promise(() => {}));
    const pieces = new PieceFeed(source.pieces, { sizes, signal: controller.signal });
    const fed = pieces.open().then(() => pieces.writeTo(new SlowPipe(false)));
    const failed = expect(fed).rejects.toThrow(/over|aborted/);
    await settleTasks();
    controller.abort(new Error('over'));
    await failed;
    expect(pieces.isWhole).toBe(false);
    pieces.close();
  });

  it('lets its source go', async () => {
    const source = createSource([5, 5]);
    const pieces = new PieceFeed(source.pieces, { sizes: [6, 5], signal: NEVER });
    await expect(pieces.open()).rejects.toThrow('in place of 6');
    pieces.close();
    await settleTasks();
    expect(source.isLetGo).toBe(true);
  });
});
