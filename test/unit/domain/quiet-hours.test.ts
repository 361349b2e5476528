import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isTimeZone, parseQuietWindow, QuietHours } from '../../../src/domain/quiet-hours.ts';

const MINUTE_MS = 60_000;

function leftMinutes(windows: readonly string[], time: string, zone = 'UTC'): number {
  return new QuietHours({ zone, windows }).leftMs(Date.parse(time)) / MINUTE_MS;
}

describe('quiet hours', () => {
  it.each([
    ['22:00-06:00', '2026-01-05T21:59:00Z', 0],
    ['22:00-06:00', '2026-01-05T22:00:00Z', 480],
    ['22:00-06:00', '2026-01-06T05:59:30Z', 0.5],
    ['22:00-06:00', '2026-01-06T06:00:00Z', 0],
    // The fifth of January 2026 is a Monday.
    ['mon-fri 08:00-18:00', '2026-01-05T08:00:00Z', 600],
    ['mon-fri 08:00-18:00', '2026-01-04T08:00:00Z', 0],
    ['fri-mon 00:00-24:00', '2026-01-05T12:00:00Z', 720],
    ['sat 22:00-02:00', '2026-01-04T01:00:00Z', 60],
    ['sun 22:00-02:00', '2026-01-04T01:00:00Z', 0],
    ['sat,sun 00:00-24:00', '2026-01-03T23:00:00Z', 60],
  ])('%s at %s: %d minutes are left', (window, time, left) => {
    expect(leftMinutes([window], time)).toBe(left);
  });

  it('are by the wall clock of their zone, also where it has changed', () => {
    expect(leftMinutes(['22:00-06:00'], '2026-01-05T21:00:00Z', 'Europe/Berlin')).toBe(480);
    expect(leftMinutes(['22:00-06:00'], '2026-07-05T20:00:00Z', 'Europe/Berlin')).toBe(480);
    expect(leftMinutes(['22:00-06:00'], '2026-07-05T19:59:00Z', 'Europe/Berlin')).toBe(0);
    expect(leftMinutes(['12:00-13:00'], '2026-01-05T06:30:00Z', 'Asia/Kolkata')).toBe(60);
  });

  it('holds inside and not outside of any window, whatever the minute (property)', () => {
    const minutes = fc.integer({ min: 0, max: 1439 });
    const text = (minute: number): string =>
      `${String(Math.floor(minute / 60)).padStart(2, '0')}:${String(minute % 60).padStart(2, '0')}`;
    fc.assert(
      fc.property(minutes, minutes, fc.integer({ min: 0, max: 10 * 1440 }), (from, to, at) => {
        fc.pre(from !== to);
        const now = at % 1440;
        const isInside = from < to ? now >= from && now < to : now >= from || now < to;
        const left = new QuietHours({ zone: 'UTC', windows: [`${text(from)}-${text(to)}`] }).leftMs(at * MINUTE_MS);
        expect(left > 0).toBe(isInside);
        if (isInside) expect((now + left / MINUTE_MS) % 1440).toBe(to);
      }),
    );
  });

  it.each(['22:00', '24:00-06:00', '06:00-06:00', 'mo 08:00-09:00', '8:00-9:00', 'mon- 08:00-09:00', ''])(
    'refuses %j',
    (text) => {
      expect(parseQuietWindow(text)).toBeUndefined();
    },
  );

  it('never throws on what somebody typed (property)', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        parseQuietWindow(text);
        isTimeZone(text);
      }),
    );
  });

  it('knows zones of the IANA database, and no others', () => {
    expect(['UTC', 'Europe/Berlin', 'Asia/Kolkata'].map(isTimeZone)).toEqual([true, true, true]);
    expect(['', 'Europe/Atlantis', 'here'].map(isTimeZone)).toEqual([false, false, false]);
  });
});
