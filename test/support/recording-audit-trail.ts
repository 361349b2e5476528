import { type AuditEvent, formatEntry, NO_ENTRY, parseEntry } from '../../src/telemetry/audit/audit-entry.ts';
import type { AuditTrail } from '../../src/telemetry/interface.ts';

/** Keeps what was noted, as it would be read back: what the log cannot hold fails the test. */
export class RecordingAuditTrail implements AuditTrail {
  readonly events: AuditEvent[] = [];

  note(event: AuditEvent): void {
    const line = formatEntry({ seq: 1, at: new Date(0).toISOString(), prev: NO_ENTRY, event });
    const read = parseEntry(line)?.event;
    if (read === undefined) throw new TypeError(`the log cannot hold ${line}`);
    this.events.push(read);
  }

  async flush(): Promise<void> {}

  get kinds(): readonly string[] {
    return this.events.map(({ kind }) => kind);
  }
}
