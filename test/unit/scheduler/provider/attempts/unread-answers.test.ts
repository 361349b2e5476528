import { describe, expect, it } from 'vitest';
import type { LeaseId } from '../../../../../src/domain/ids.ts';
import { AttemptFeed, type AttemptFollower } from '../../../../../src/scheduler/provider/attempts/attempt-feed.ts';
import { EventLog } from '../../../../../src/scheduler/provider/attempts/event-log.ts';
import { Run } from '../../../../../src/scheduler/provider/attempts/run.ts';
import { UnreadAnswers } from '../../../../../src/scheduler/provider/attempts/unread-answers.ts';
import { FRAME_BUDGET_BYTES, MAX_UNREAD_BYTES } from '../../../../../src/scheduler/provider/constants.ts';
import { ManualClock } from '../../../../support/manual-clock.ts';

const LINE_CHARS = 60_000;

/** An attempt that has told of something, ends when it is told to and takes so much memory then. */
class Source {
  readonly id: LeaseId;
  readonly followers = new Set<AttemptFollower>();
  readonly lastSequence = Number.POSITIVE_INFINITY;
  readonly #sizeBytes: number;
  isOver = true;
  opened = 0;

  constructor(index: number, sizeBytes = 0) {
    this.id = `lease ${index}` as LeaseId;
    this.#sizeBytes = sizeBytes;
  }

  get heldBytes(): number {
    return this.isOver ? this.#sizeBytes : 0;
  }

  async open(): Promise<EventLog> {
    this.opened += 1;
    const log = new EventLog(this.id);
    log.append({ kind: 'log', stream: 'log', text: 'x'.repeat(LINE_CHARS) }, 1);
    return log;
  }

  end(): void {
    this.isOver = true;
    for (const follower of this.followers) follower.onEvent(this, 1, 'now');
  }
}

function createScene() {
  let dropped = 0;
  const unread = new UnreadAnswers({ unreadAnswers: { increment: () => void (dropped += 1) } });
  const journal = { readLink: async () => undefined };
  const open = (sources: readonly Source[]): AttemptFeed => {
    const feed = new AttemptFeed({ clock: new ManualClock(), journal, unread });
    for (const source of sources) feed.follow(source, 0);
    return feed;
  };
  return { unread, open, dropped: () => dropped };
}

function createLive(index: number, share: number): Source {
  const source = new Source(index, MAX_UNREAD_BYTES * share);
  source.isOver = false;
  return source;
}

async function readAll(feed: AttemptFeed): Promise<number> {
  let events = 0;
  for await (const frame of feed.frames(new AbortController().signal)) {
    if (frame.kind === 'events') events += frame.events.length;
  }
  return events;
}

describe('answers that are not read', () => {
  it('are closed where most has ended in them, once all together hold too much', async () => {
    const { unread, open, dropped } = createScene();
    const [hog, other, last] = [createLive(1, 0.6), createLive(2, 0.3), createLive(3, 0.3)];
    const [greedy, honest] = [open([hog]), open([other, last])];
    hog.end();
    other.end();
    expect(dropped()).toBe(0);
    last.end();
    expect(dropped()).toBe(1);
    expect([hog, other, last].map(({ followers }) => followers.size)).toEqual([0, 1, 1]);
    expect(await readAll(greedy)).toBe(0);
    expect(await readAll(honest)).toBe(2);
    expect(unread.totalBytes).toBe(0);
  });

  it('count nothing of what lives, was read, or is let go of unread', async () => {
    const { unread, open } = createScene();
    const [first, second] = [createLive(1, 0.5), createLive(2, 0.4)];
    const feed = open([first, second]);
    first.end();
    expect(unread.totalBytes).toBe(MAX_UNREAD_BYTES * 0.5);
    const frames = feed.frames(new AbortController().signal);
    await frames.next();
    expect(unread.totalBytes).toBe(0);
    second.end();
    expect(unread.totalBytes).toBe(MAX_UNREAD_BYTES * 0.4);
    feed.close();
    expect(unread.totalBytes).toBe(0);
    expect((await frames.next()).done).toBe(true);
  });

  it('take no receipts of a batch any more once they are closed', async () => {
    const { unread, open } = createScene();
    const source = createLive(1, 0.5);
    const feed = open([source]);
    feed.close();
    source.isOver = true;
    feed.deliver({ sources: [source], receipts: [], inlineBlobs: [] });
    expect(unread.totalBytes).toBe(0);
    expect(await readAll(feed)).toBe(0);
  });

  it('read of thousands that have ended only those that the next frame holds', async () => {
    const { open } = createScene();
    const sources = Array.from({ length: 100 }, (_, index) => new Source(index));
    const frames = open(sources).frames(new AbortController().signal);
    await frames.next();
    const most = Math.ceil(FRAME_BUDGET_BYTES / LINE_CHARS) + 1;
    expect(sources.filter(({ opened }) => opened > 0).length).toBeLessThanOrEqual(most);
    await frames.return(undefined);
    const again = sources.slice(0, 20);
    expect(await readAll(open(again))).toBe(20);
  });
});

describe('a run', () => {
  it('gives its attempts in order, but for those that have left', () => {
    const attempts = Array.from({ length: 3 }, (_, index) => ({ id: index }));
    const run = new Run(0, {} as never);
    run.load(attempts as never);
    const [first, second] = attempts;
    run.withdraw(second as never);
    expect(run.peekNext()).toBe(first);
    run.withdraw(first as never);
    expect(run.peekNext()).toBe(attempts[2]);
    expect(run.waiting).toBe(1);
  });
});
