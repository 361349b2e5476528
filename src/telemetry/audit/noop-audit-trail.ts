import type { AuditTrail } from '../interface.ts';

/** Keeps nothing. */
export class NoopAuditTrail implements AuditTrail {
  note(): void {}

  async flush(): Promise<void> {}
}
