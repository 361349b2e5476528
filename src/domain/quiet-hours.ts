/** Windows of local time in one time zone, such as `22:00-06:00` or `mon-fri 08:00-18:00`, in which nothing new begins. */

const DAYS = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'] as const;
const DAY_MINUTES = 24 * 60;
const WEEK_MINUTES = 7 * DAY_MINUTES;

const DAY = `(?:${DAYS.join('|')})`;
const DAY_LIST = `${DAY}(?:-${DAY})?(?:,${DAY}(?:-${DAY})?)*`;
const CLOCK = '(?:[01][0-9]|2[0-3]):[0-5][0-9]';
/** Days (of the window's beginning; none are all), then from and to; 24:00 is the end of the day. */
export const QUIET_WINDOW_PATTERN = new RegExp(`^(?:(${DAY_LIST}) )?(${CLOCK})-(${CLOCK}|24:00)$`);

/** Minutes since the beginning of Sunday; `endMinute` is beyond `startMinute`, at most a day, and may be in the next week. */
interface Span {
  readonly startMinute: number;
  readonly endMinute: number;
}

/** Undefined for text that is no window, or one of no length. */
export function parseQuietWindow(text: string): readonly Span[] | undefined {
  const [, days, from, to] = QUIET_WINDOW_PATTERN.exec(text) ?? [];
  if (from === undefined || to === undefined || from === to) return undefined;
  const fromMinute = readMinute(from);
  const toMinute = readMinute(to);
  const lengthMinutes = toMinute > fromMinute ? toMinute - fromMinute : toMinute + DAY_MINUTES - fromMinute;
  return readDays(days).map((day) => {
    const startMinute = day * DAY_MINUTES + fromMinute;
    return { startMinute, endMinute: startMinute + lengthMinutes };
  });
}

/** True for a zone of the IANA database that this runtime knows, such as `Europe/Berlin` or `UTC`. */
export function isTimeZone(name: string): boolean {
  try {
    createFormat(name);
    return true;
  } catch {
    return false;
  }
}

/** Quiet hours by the wall clock of their zone: where the clocks change, a window is as long as it is there. */
export class QuietHours {
  readonly #spans: readonly Span[];
  readonly #format: Intl.DateTimeFormat;

  /** @throws RangeError for a zone or a window that is none: configuration has checked both */
  constructor({ zone, windows }: { readonly zone: string; readonly windows: readonly string[] }) {
    this.#format = createFormat(zone);
    this.#spans = windows.flatMap((text) => {
      const spans = parseQuietWindow(text);
      if (spans === undefined) throw new RangeError(`'${text}' is no window of quiet hours`);
      return spans;
    });
  }

  /** Time until the windows that hold now have ended, ms by the local clock; 0 outside of all. @param nowMs Unix ms */
  leftMs(nowMs: number): number {
    if (this.#spans.length === 0) return 0;
    const minute = this.#localMinute(nowMs);
    let leftMinutes = 0;
    for (const { startMinute, endMinute } of this.#spans) {
      // A window of Saturday may last into Sunday, where the week has begun anew.
      for (const at of [minute, minute + WEEK_MINUTES]) {
        if (at >= startMinute && at < endMinute) leftMinutes = Math.max(leftMinutes, endMinute - at);
      }
    }
    return leftMinutes * 60_000 - (leftMinutes === 0 ? 0 : modulo(nowMs, 60_000));
  }

  #localMinute(nowMs: number): number {
    const parts = new Map(this.#format.formatToParts(nowMs).map(({ type, value }) => [type, value]));
    const day = DAYS.findIndex((name) => name === parts.get('weekday')?.toLowerCase());
    return day * DAY_MINUTES + Number(parts.get('hour')) * 60 + Number(parts.get('minute'));
  }
}

function createFormat(timeZone: string): Intl.DateTimeFormat {
  return new Intl.DateTimeFormat('en-US', {
    timeZone,
    weekday: 'short',
    hour: '2-digit',
    minute: '2-digit',
    hourCycle: 'h23',
  });
}

function readMinute(clock: string): number {
  const [hours, minutes] = clock.split(':').map(Number);
  return (hours ?? 0) * 60 + (minutes ?? 0);
}

/** `fri-mon` goes over the end of the week. */
function readDays(text: string | undefined): readonly number[] {
  if (text === undefined) return DAYS.map((_, day) => day);
  const days = text.split(',').flatMap((part) => {
    const [first = 0, last = first] = part.split('-').map((name) => DAYS.findIndex((day) => day === name));
    return Array.from({ length: modulo(last - first, 7) + 1 }, (_, index) => modulo(first + index, 7));
  });
  return [...new Set(days)];
}

function modulo(value: number, by: number): number {
  return ((value % by) + by) % by;
}
