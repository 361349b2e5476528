import { DaemonError, type ErrorTable } from '../../lib/errors.ts';

export type AuditErrorInfo = { readonly code: 'CLI_NO_AUDIT_LOG'; readonly folder: string };

const AUDIT_ERRORS: ErrorTable<AuditErrorInfo> = {
  CLI_NO_AUDIT_LOG: {
    retryable: false,
    message: (info) => `there is no audit log in ${info.folder}`,
    hint: () => 'The daemon has not run with this data folder yet: check --home and FOGPROOF_HOME.',
  },
};

export class AuditError extends DaemonError<AuditErrorInfo> {
  constructor(info: AuditErrorInfo, options?: ErrorOptions) {
    super(AUDIT_ERRORS, info, options);
  }
}
