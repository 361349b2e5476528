import { formatDuration } from '../lib/quantity.ts';

/** Characters of a CID that tell jobs apart at sight; commands take them in place of the whole id. */
const SHORT_ID_LENGTH = 16;

export function shortId(id: string): string {
  return id.slice(0, SHORT_ID_LENGTH);
}

/** First and last characters of a peer id: the first are equal for all Ed25519 keys. */
export function shortPeer(peer: string): string {
  return peer.length <= 14 ? peer : `${peer.slice(0, 4)}…${peer.slice(-6)}`;
}

/** Counts such as fuel: `950`, `1.2 M`, `38.4 G`. */
export function formatCount(value: number): string {
  const [unit, factor] = [
    ['T', 1e12],
    ['G', 1e9],
    ['M', 1e6],
    ['k', 1e3],
  ].find(([, size]) => value >= Number(size)) ?? ['', 1];
  return `${Number((value / Number(factor)).toFixed(1))}${unit === '' ? '' : ` ${unit}`}`;
}

/** `12:04:09`, local time. */
export function formatTime(unixMs: number): string {
  return new Date(unixMs).toTimeString().slice(0, 8);
}

/** `2026-11-21 12:04:09`, local time. */
export function formatDateTime(unixMs: number): string {
  const date = new Date(unixMs);
  const day = [date.getFullYear(), date.getMonth() + 1, date.getDate()].map((part) => String(part).padStart(2, '0'));
  return `${day.join('-')} ${formatTime(unixMs)}`;
}

/** `3 m ago`, `in 10 m`. */
export function formatWhen(unixMs: number, nowMs: number): string {
  const distance = unixMs - nowMs;
  if (Math.abs(distance) < 1000) return 'now';
  return distance > 0 ? `in ${formatDuration(distance)}` : `${formatDuration(-distance)} ago`;
}

/** Lines `label  value`, the values under each other; those without a value are left out. */
export function renderFields(fields: readonly (readonly [string, string | undefined])[]): string[] {
  const shown = fields.flatMap(([label, value]) => (value === undefined ? [] : [[label, value] as const]));
  const width = Math.max(0, ...shown.map(([label]) => label.length));
  return shown.map(([label, value]) => `${label.padEnd(width)}  ${value}`);
}

export function plural(count: number, noun: string, nouns = `${noun}s`): string {
  return `${count} ${count === 1 ? noun : nouns}`;
}
