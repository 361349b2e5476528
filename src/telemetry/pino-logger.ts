import picocolors from 'picocolors';
import { type Logger as Pino, pino } from 'pino';
import { LOG_FILE_MAX_BYTES, LOG_FILES_KEPT } from './constants.ts';
import type { LogFields, Logger } from './interface.ts';
import { formatPrettyLine } from './pretty-line.ts';
import { toPlainFields } from './redact.ts';
import { RotatingFile } from './rotating-file.ts';

export interface PinoLoggerOptions {
  readonly level: 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent';
  /** JSON lines, rotated; null for none. */
  readonly file: { readonly path: string; readonly maxBytes?: number; readonly keep?: number } | null;
  /** For a person or a supervisor watching; null for none. */
  readonly stream: LogStream | null;
}

export interface LogStream {
  readonly format: 'pretty' | 'json';
  /** True for a terminal that shows colours: the caller knows, the environment of the process does not decide. */
  readonly hasColors: boolean;
  readonly write: (text: string) => void;
}

/** Writes JSON lines (pino) to a rotated file and, in the form asked for, to a stream such as stderr. */
export class PinoLogger implements Logger, AsyncDisposable {
  readonly #pino: Pino;
  readonly #file: RotatingFile | null;

  private constructor(instance: Pino, file: RotatingFile | null) {
    this.#pino = instance;
    this.#file = file;
  }

  static async open(options: PinoLoggerOptions): Promise<PinoLogger> {
    const { level, stream } = options;
    const file =
      options.file === null
        ? null
        : await RotatingFile.open({
            path: options.file.path,
            maxBytes: options.file.maxBytes ?? LOG_FILE_MAX_BYTES,
            keep: options.file.keep ?? LOG_FILES_KEPT,
          });
    const colors = picocolors.createColors(stream?.hasColors ?? false);
    const target = {
      write: (line: string): void => {
        file?.write(line);
        stream?.write(stream.format === 'pretty' ? formatPrettyLine(line, colors) : line);
      },
    };
    return new PinoLogger(pino({ level, base: null }, target), file);
  }

  debug(fields: LogFields, message: string): void {
    if (this.#pino.isLevelEnabled('debug')) this.#pino.debug(toPlainFields(fields), message);
  }

  info(fields: LogFields, message: string): void {
    if (this.#pino.isLevelEnabled('info')) this.#pino.info(toPlainFields(fields), message);
  }

  warn(fields: LogFields, message: string): void {
    if (this.#pino.isLevelEnabled('warn')) this.#pino.warn(toPlainFields(fields), message);
  }

  error(fields: LogFields, message: string): void {
    if (this.#pino.isLevelEnabled('error')) this.#pino.error(toPlainFields(fields), message);
  }

  fatal(fields: LogFields, message: string): void {
    this.#pino.fatal(toPlainFields(fields), message);
    this.#file?.flushSync();
  }

  child(fields: LogFields): Logger {
    return new PinoLogger(this.#pino.child(toPlainFields(fields)), this.#file);
  }

  /** Writes what is buffered and closes the file; of the root logger only. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file?.[Symbol.asyncDispose]();
  }
}
