import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LeaseId, UnixMs } from '../../../../../src/domain/ids.ts';
import type { AttemptEvent } from '../../../../../src/domain/messages.ts';
import {
  EventLog,
  estimateEntryBytes,
  type LogEntry,
} from '../../../../../src/scheduler/provider/attempts/event-log.ts';
import {
  MAX_BUFFERED_BYTES,
  MAX_BUFFERED_CHECKPOINTS,
  MAX_BUFFERED_EVENTS,
} from '../../../../../src/scheduler/provider/constants.ts';

const LEASE = LeaseId('bafyreie3enr75sooqdiwybpfzg7nifaw2lyxc5kqkvnedoemz43kkucmxu');
const ALL = [Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER] as const;

function eventOf(entry: LogEntry | undefined): AttemptEvent | undefined {
  return entry === undefined || 'recall' in entry ? undefined : entry.event;
}

function logOf(text: string): AttemptEvent {
  return { kind: 'log', stream: 'stdout', text };
}

describe('the events of an attempt', () => {
  it('are numbered from 1 and given from any sequence on', () => {
    const log = new EventLog(LEASE);
    for (let index = 1; index <= 10; index += 1) log.append(logOf(`${index}`), index);
    expect(log.after(7, ...ALL).map(({ sequence, atMs }) => [sequence, atMs])).toEqual([
      [8, 8],
      [9, 9],
      [10, 10],
    ]);
    expect(log.after(10, ...ALL)).toEqual([]);
    expect(log.after(0, 3, ALL[1])).toHaveLength(3);
    expect(log.after(0, 3, 1)).toHaveLength(1);
  });

  it('are dropped oldest first, with a note of how many, but for phases and the end', () => {
    const log = new EventLog(LEASE);
    log.append({ kind: 'phase', phase: 'running' }, 0);
    for (let index = 0; index < 3 * MAX_BUFFERED_EVENTS; index += 1) log.append(logOf(`${index}`), index);
    log.append({ kind: 'phase', phase: 'finished' }, 0);
    const events = log.after(0, ...ALL);
    expect(eventOf(events[0])).toEqual({ kind: 'phase', phase: 'running' });
    expect(eventOf(events.at(-1))).toEqual({ kind: 'phase', phase: 'finished' });
    const [, note] = events;
    const kept = events.length - 3;
    const dropped = 3 * MAX_BUFFERED_EVENTS - kept;
    const text = `[fogproof] ${dropped} earlier events were dropped: the buffer was full`;
    expect(eventOf(note)).toEqual({ kind: 'log', stream: 'log', text });
    expect(log.dropped).toBe(dropped);
  });

  it('say what a third party holds by the newest of them alone, which stays', () => {
    const log = new EventLog(LEASE);
    for (let index = 1; index <= 5; index += 1) {
      log.append(logOf('x'), 0);
      log.append({ kind: 'held', index }, 0);
    }
    for (let index = 0; index < 2 * MAX_BUFFERED_EVENTS; index += 1) log.append(logOf(`${index}`), index);
    const held = () => log.after(0, ...ALL).filter((entry) => eventOf(entry)?.kind === 'held');
    expect(held().map((entry) => [entry.sequence, eventOf(entry)])).toEqual([[10, { kind: 'held', index: 5 }]]);
    const last = log.append({ kind: 'held', index: 9 }, 0);
    expect(held()).toEqual([last]);
    expect(log.after(last.sequence - 1, ...ALL)).toEqual([last]);
  });

  it('stay within their bounds and in order, whatever comes', () => {
    const event = fc.oneof(
      fc.nat({ max: 65_536 }).map((length) => logOf('x'.repeat(length))),
      fc.constant<AttemptEvent>({ kind: 'metric', name: 'loss', value: '1', step: 1 }),
      fc.nat({ max: 100 }).map((index): AttemptEvent => ({ kind: 'held', index })),
    );
    fc.assert(
      fc.property(fc.array(event, { maxLength: 200 }), (given) => {
        const log = new EventLog(LEASE);
        for (const one of given) log.append(one, 0);
        const events = log.after(0, ...ALL);
        const sizeBytes = events.reduce((sum, one) => sum + estimateEntryBytes(one), 0);
        expect(sizeBytes).toBeLessThanOrEqual(MAX_BUFFERED_BYTES);
        expect(events.length).toBeLessThanOrEqual(MAX_BUFFERED_EVENTS);
        const sequences = events.map(({ sequence }) => sequence);
        expect(sequences).toEqual([...sequences].sort((a, b) => a - b));
        expect(new Set(sequences).size).toBe(sequences.length);
        expect(log.lastSequence).toBe(given.length);
        if (given.length > 0) expect(sequences.at(-1)).toBe(given.length);
      }),
    );
  });

  it('hold the newest checkpoints whole, and of older ones where they stand in the journal', () => {
    const log = new EventLog(LEASE);
    const wire = { kind: 'envelope', envelope: new Uint8Array(600) } as const;
    for (let index = 0; index < 2_000; index += 1) {
      log.append({ kind: 'checkpoint', checkpoint: wire }, index, index * 10);
      log.append(logOf(`${index}`), index);
    }
    const entries = log.after(0, ...ALL);
    const recalled = entries.flatMap((entry) => ('recall' in entry ? [entry.recall] : []));
    const whole = entries.filter((entry) => eventOf(entry)?.kind === 'checkpoint').length;
    expect(recalled).toEqual(Array.from({ length: recalled.length }, (_, index) => index));
    expect(recalled.length + whole).toBe(2_000);
    expect(whole).toBeLessThanOrEqual(MAX_BUFFERED_CHECKPOINTS);
    const sequences = entries.map(({ sequence }) => sequence);
    expect(sequences).toEqual([...new Set(sequences)].sort((a, b) => a - b));
    expect(entries.find((entry) => 'recall' in entry && entry.recall === 7)?.sequence).toBe(70);
  });

  it('go on after those that are in the journal', () => {
    const log = new EventLog(LEASE, 100_000);
    const atMs = UnixMs(1);
    log.recall([
      { sequence: 3, atMs, recall: 0 },
      { sequence: 70, atMs, recall: 1 },
    ]);
    log.append(logOf('again'), 2);
    expect(log.after(3, ...ALL).map(({ sequence }) => sequence)).toEqual([70, 100_001]);
  });
});
