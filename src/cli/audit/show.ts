import { join } from 'node:path';
import { z } from 'zod';
import { computeDataPaths } from '../../config/paths.ts';
import { isAbortError, UsageError } from '../../lib/errors.ts';
import { DURATION_PATTERN, parseDuration } from '../../lib/quantity.ts';
import { systemErrorCode } from '../../lib/system-error.ts';
import { type AuditEntry, parseEntry } from '../../telemetry/audit/audit-entry.ts';
import { CURRENT_FILE } from '../../telemetry/audit/segments.ts';
import { readTrail } from '../../telemetry/audit/verify-trail.ts';
import { EXIT_CODES } from '../exit-codes.ts';
import { shortId, shortPeer } from '../format.ts';
import { findLocations } from '../framework/locations.ts';
import { type CliOutput, defineCommand } from '../interface.ts';
import { tailFile } from '../node/tail-file.ts';
import { AuditError } from './errors.ts';

export const auditShow = defineCommand({
  name: 'audit show',
  summary: 'show what was decided about work for others',
  details:
    'Offers given and refused with the rule that decided, leases, starts and ends of attempts, changes of the policy, drain and panic. Reads the log itself, so it works also when the daemon is down. With --json, the lines as they are.',
  arguments: [],
  options: z.strictObject({
    since: z
      .string()
      .exactOptional()
      .describe('a time such as 2026-01-31T12:00:00Z, or how long ago, such as 2h')
      .meta({ placeholder: 'TIME' }),
    lines: z.int().min(0).max(100_000_000).default(100).describe('entries from the end').meta({ short: 'n' }),
    follow: z.boolean().default(false).describe('go on with new entries').meta({ short: 'f' }),
  }),
  examples: [
    { line: 'fogproof audit show --since 1h', does: 'What was decided in the last hour.' },
    { line: 'fogproof audit show --follow', does: 'Watch the node decide.' },
  ],
  run: async ({ options }, context) => {
    const { output, signal } = context;
    const folder = computeDataPaths(findLocations(context).home).audit;
    const sinceMs = readSince(options.since, Date.now());
    const recent: { readonly entry: AuditEntry; readonly text: string }[] = [];
    let lastSeq = -1;
    for await (const { text } of readTrail(folder)) {
      const entry = parseEntry(text);
      if (entry === undefined || Date.parse(entry.at) < sinceMs) continue;
      recent.push({ entry, text });
      lastSeq = entry.seq;
      if (recent.length > options.lines) recent.shift();
    }
    for (const { entry, text } of recent) show(output, entry, text);
    try {
      // From the beginning of the file: what was written since it was read is not missed.
      const tail = { lines: Number.MAX_SAFE_INTEGER, follow: options.follow, signal };
      for await (const text of tailFile(join(folder, CURRENT_FILE), tail)) {
        const entry = parseEntry(text);
        if (!options.follow || entry === undefined || entry.seq <= lastSeq || Date.parse(entry.at) < sinceMs) continue;
        show(output, entry, text);
      }
    } catch (error) {
      if (isAbortError(error)) return EXIT_CODES.interrupted;
      if (systemErrorCode(error) === 'ENOENT')
        throw new AuditError({ code: 'CLI_NO_AUDIT_LOG', folder }, { cause: error });
      throw error;
    }
    return EXIT_CODES.ok;
  },
});

/** Unix ms; the beginning of time where none is given. @throws UsageError */
export function readSince(text: string | undefined, nowMs: number): number {
  if (text === undefined) return Number.NEGATIVE_INFINITY;
  const agoMs = DURATION_PATTERN.test(text) ? parseDuration(text) : undefined;
  const sinceMs = agoMs === undefined ? Date.parse(text) : nowMs - agoMs;
  if (!Number.isNaN(sinceMs)) return sinceMs;
  throw new UsageError(`'${text}' is neither a time nor a duration`, 'Write 2026-01-31T12:00:00Z, or 2h.');
}

function show(output: CliOutput, entry: AuditEntry, text: string): void {
  output.item(JSON.parse(text), renderEntry(entry));
}

export function renderEntry({ seq, at, event }: AuditEntry): string {
  return `${String(seq).padStart(6)}  ${at}  ${event.kind.padEnd(13)}  ${describeEvent(event)}`.trimEnd();
}

function describeEvent(event: AuditEntry['event']): string {
  switch (event.kind) {
    case 'start':
      return `version ${event.version}, policy ${event.policy.slice(0, 12)}, work ${event.work}`;
    case 'policy':
      return `${event.before?.slice(0, 12) ?? 'none'} → ${event.after.slice(0, 12)}`;
    case 'offer':
      return `${shortPeer(event.requester)} may have ${event.attempts} × ${event.workload}: offer ${shortId(event.offer)}`;
    case 'refusal':
      return `${shortPeer(event.requester)} asked for ${event.of === 'offer' ? 'an offer' : 'a lease'}: ${event.code}${event.rule === null ? '' : ` by ${event.rule}`}${event.times === 1 ? '' : ` × ${event.times}`}`;
    case 'lease':
      return `${shortPeer(event.requester)} has ${event.attempts} leased: job ${shortId(event.job)}, lease ${shortId(event.lease)}`;
    case 'attempt-start':
      return `${shortPeer(event.requester)}, job ${shortId(event.job)}, lease ${shortId(event.lease)}`;
    case 'attempt-end':
      return `${shortPeer(event.requester)}, job ${shortId(event.job)}: ${describeOutcomes(event.outcomes)}, ${event.cpuTimeMs} ms of processor time`;
    case 'panic':
      return `${event.attempts} attempts are being stopped`;
    case 'panic-done':
      return `${event.attempts} attempts and ${event.processes} processes ended in ${event.elapsedMs} ms, ${event.left} left`;
    case 'segment':
      return event.removedThrough === 0 ? 'a new file' : `a new file; entries up to ${event.removedThrough} made room`;
    case 'gap':
      return `${event.lost} entries could not be written`;
    case 'stop':
    case 'drain':
    case 'resume':
      return '';
    default:
      return event satisfies never;
  }
}

function describeOutcomes(outcomes: Readonly<Record<string, number>>): string {
  return Object.entries(outcomes)
    .map(([code, times]) => (times === 1 ? code : `${times} × ${code}`))
    .join(', ');
}
