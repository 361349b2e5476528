/** What every coded error carries besides its code: data, never prose. */
export interface CodedInfo {
  readonly code: string;
}

export interface ErrorDescription<Info> {
  /** Whether the same call may succeed later without anybody changing anything. */
  readonly retryable: boolean;
  /** One sentence: what happened. */
  readonly message: (info: Info) => string;
  /** One sentence: what to do next. */
  readonly hint: (info: Info) => string;
}

/** One entry for each code of a folder's error union. */
export type ErrorTable<Info extends CodedInfo> = {
  readonly [Code in Info['code']]: ErrorDescription<Extract<Info, { readonly code: Code }>>;
};

/**
 * Base of every expected failure. Each folder has one subclass over a union of `{ code, ...data }`;
 * codes are `FOLDER_WHAT`, unique, never reused.
 */
export abstract class DaemonError<Info extends CodedInfo = CodedInfo> extends Error {
  readonly info: Info;
  readonly hint: string;
  readonly retryable: boolean;

  constructor(table: ErrorTable<Info>, info: Info, options?: ErrorOptions) {
    // Info['code'] indexes the table by construction; the union cannot be narrowed generically.
    const description = table[info.code as Info['code']] as unknown as ErrorDescription<Info>;
    super(description.message(info), options);
    this.name = new.target.name;
    this.info = info;
    this.hint = description.hint(info);
    this.retryable = description.retryable;
  }

  get code(): Info['code'] {
    return this.info.code;
  }
}

/** `instanceof` alone would give a `DaemonError<any>`. */
export function isDaemonError(error: unknown): error is DaemonError {
  return error instanceof DaemonError;
}

/** An invariant of ours broke: a defect. Logged with its stack, never swallowed. */
export class InternalError extends Error {
  override readonly name = 'InternalError';
}

/** The caller (a person at the CLI, a client of the socket) asked for something that cannot be. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
  readonly hint: string;

  constructor(message: string, hint: string, options?: ErrorOptions) {
    super(message, options);
    this.hint = hint;
  }
}

/** True for the error that an aborted operation throws; it passes through untouched. */
export function isAbortError(error: unknown): boolean {
  return error instanceof Error && (error.name === 'AbortError' || error.name === 'TimeoutError');
}

/** The message of anything thrown, for data fields of an error that wraps it. */
export function describeError(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
