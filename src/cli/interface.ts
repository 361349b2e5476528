/**
 * cli owns what a person types and reads: one file a command under one folder a group, listed in commands.ts.
 * It does not own any logic of the daemon: but for the daemonless commands it is a client of the control socket.
 */
import type { z } from 'zod';
import type { RpcClient } from '../rpc/client.ts';
import type { ExitCode } from './exit-codes.ts';

export interface CliOutput {
  /** True with `--json`: one JSON document on stdout (or one a line for streams) and nothing else. */
  readonly isJson: boolean;
  /** True if stderr is a terminal: only then progress is drawn. */
  readonly isInteractive: boolean;
  /** True if stdout is a terminal that results are drawn for. */
  readonly isTerminal: boolean;
  /** Columns of the terminal; 80 where there is none. */
  readonly columns: number;
  /** Its lines; 24 where there is none. */
  readonly lines: number;
  /** The result: printed as JSON with `--json`, else what `render` gives, line by line. */
  result(value: unknown, render: () => readonly string[]): void;
  /** One item of a stream: a line of JSON with `--json`, else `text`. */
  item(value: unknown, text: string): void;
  /** Progress and remarks for a person, on stderr; silent with `--json` or `--quiet`. */
  note(text: string): void;
  /** Replaces the last progress on a terminal, of one line or several; nothing elsewhere. */
  progress(text: string): void;
  table(head: readonly string[], rows: readonly (readonly string[])[]): string[];
}

export interface CliContext {
  readonly output: CliOutput;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly workingDirectory: string;
  /** `--home`, if given. */
  readonly home: string | undefined;
  /** `--socket`, if given. */
  readonly socket: string | undefined;
  readonly signal: AbortSignal;
  /** Asks on the terminal without echo; throws UsageError where there is none. */
  readSecret(prompt: string): Promise<string>;
  /** Connects to the running daemon. @throws RpcError RPC_NO_DAEMON with what to run */
  connect(): Promise<RpcClient>;
}

export interface CommandArgument {
  readonly name: string;
  readonly description: string;
  readonly isRequired: boolean;
  readonly isVariadic?: boolean;
}

/**
 * A command. `options` is a strict zod object: keys become `--kebab-case`, `z.boolean()` a switch, `z.array()` a
 * repeatable option, `.describe()` its help and `.default()` its default. `--json`, `--quiet`, `--home` and `--socket`
 * are global.
 */
export interface Command<Options extends z.ZodObject = z.ZodObject> {
  /** Group and verb, such as 'job submit'. */
  readonly name: string;
  readonly summary: string;
  readonly details?: string;
  readonly arguments: readonly CommandArgument[];
  readonly options: Options;
  /** Whole command lines, each with what it does. */
  readonly examples: readonly { readonly line: string; readonly does: string }[];
  run(
    input: { readonly arguments: readonly string[]; readonly options: z.output<Options> },
    context: CliContext,
  ): Promise<ExitCode>;
}

/** Keeps the option types of a command while it is put into the table. */
export function defineCommand<Options extends z.ZodObject>(command: Command<Options>): Command<Options> {
  return command;
}
