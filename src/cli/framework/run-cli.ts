import { isAbortError } from '../../lib/errors.ts';
import { COMMANDS } from '../commands.ts';
import { EXIT_CODES, type ExitCode } from '../exit-codes.ts';
import type { CliContext, Command } from '../interface.ts';
import { buildProgram, type CommandEntry, type GivenInput } from './build-program.ts';
import { type ErrorReport, reportError } from './error-report.ts';
import { findLocations } from './locations.ts';
import { parseOptions } from './parse-options.ts';
import { TerminalOutput, type TextSink, toJson } from './terminal-output.ts';
import { sanitizeText } from './terminal-text.ts';

export interface CliModules {
  readonly stdout: TextSink;
  readonly stderr: TextSink;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly workingDirectory: string;
  readonly signal: AbortSignal;
  readSecret(prompt: string): Promise<string>;
  readonly commands?: readonly CommandEntry[];
}

/** Parses, loads and runs one command. Never throws: what goes wrong is printed and becomes the exit code. */
export async function runCli(
  argv: readonly string[],
  modules: CliModules,
  options: { readonly version: string },
): Promise<ExitCode> {
  const { stdout, environment, signal } = modules;
  try {
    const program = buildProgram(
      {
        commands: modules.commands ?? COMMANDS,
        writeOut: (text) => void stdout.write(text),
        run: (command, given) => runCommand(command, given, modules),
      },
      options,
    );
    return await program.parse(argv);
  } catch (error) {
    if (isHelpOfGroup(error)) return printHelpOfGroup(argv, modules, options);
    if (signal.aborted && isAbortError(error)) return EXIT_CODES.interrupted;
    const report = reportError(error);
    if (report === undefined) return isAbortError(error) ? EXIT_CODES.interrupted : EXIT_CODES.ok;
    printError(report, modules, { isJson: argv.includes('--json'), environment });
    return report.exitCode;
  }
}

async function runCommand(command: Command, given: GivenInput, modules: CliModules): Promise<ExitCode> {
  const { json = false, quiet = false, home, socket } = given.global;
  const { stdout, stderr, environment, workingDirectory, signal } = modules;
  const input = { arguments: given.arguments, options: parseOptions(command.options, given.specs, given.options) };
  const hasColors = stderr.isTTY === true && !environment['NO_COLOR'] && environment['TERM'] !== 'dumb';
  const output = new TerminalOutput({ stdout, stderr }, { isJson: json, isQuiet: quiet, hasColors });
  const context: CliContext = {
    output,
    environment,
    workingDirectory,
    home,
    socket,
    signal,
    readSecret: (prompt) => modules.readSecret(prompt),
    connect: async () => {
      const { connectSocket } = await import('../../rpc/socket-client.ts');
      return connectSocket(findLocations({ environment, home, socket }).socket, { signal });
    },
  };
  try {
    return await command.run(input, context);
  } finally {
    output.finish();
  }
}

/** `fogproof job` alone: commander wants to print help as an error. */
function isHelpOfGroup(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'commander.help';
}

async function printHelpOfGroup(
  argv: readonly string[],
  modules: CliModules,
  options: { readonly version: string },
): Promise<ExitCode> {
  const toStderr = { ...modules, stdout: modules.stderr };
  await runCli([...argv.filter((word) => !word.startsWith('-')), '--help'], toStderr, options);
  return EXIT_CODES.usage;
}

interface PrintOptions {
  readonly isJson: boolean;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/** On stderr, also with `--json`: stdout holds results only. */
function printError(report: ErrorReport, { stderr }: CliModules, { isJson }: PrintOptions): void {
  const { code, message, hint, info, retryable, stack } = report;
  if (isJson) {
    stderr.write(`${toJson({ error: { code, message, hint, retryable, info, stack } })}\n`);
    return;
  }
  const lines = [`error ${code}: ${message}`, ...(hint === undefined ? [] : [`  hint: ${hint}`])];
  if (stack !== undefined) lines.push(stack);
  stderr.write(`${sanitizeText(lines.join('\n'))}\n`);
}
