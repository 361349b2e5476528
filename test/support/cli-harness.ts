import type { CommandEntry } from '../../src/cli/framework/build-program.ts';
import { runCli } from '../../src/cli/framework/run-cli.ts';
import type { Command } from '../../src/cli/interface.ts';

export interface CliRun {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CliRunOptions {
  /** In place of the real table. */
  readonly commands?: readonly Command[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly workingDirectory?: string;
  readonly signal?: AbortSignal;
  readonly isTTY?: boolean;
  readonly onWrite?: (text: string) => void;
}

/** Runs a command line in this process and keeps what it prints. */
export async function runLine(argv: readonly string[], options: CliRunOptions = {}): Promise<CliRun> {
  const [stdout, stderr]: string[][] = [[], []];
  const sink = (lines: string[] = []) => ({
    isTTY: options.isTTY ?? false,
    columns: 100,
    write: (text: string) => {
      options.onWrite?.(text);
      lines.push(text);
    },
  });
  const commands = options.commands?.map((command): CommandEntry => ({ ...command, load: async () => command }));
  const exitCode = await runCli(
    argv,
    {
      stdout: sink(stdout),
      stderr: sink(stderr),
      environment: { HOME: '/nonexistent', ...options.environment },
      workingDirectory: options.workingDirectory ?? '/nonexistent',
      signal: options.signal ?? new AbortController().signal,
      readSecret: async () => 'secret',
      ...(commands === undefined ? {} : { commands }),
    },
    { version: '1.2.3' },
  );
  return { exitCode, stdout: (stdout ?? []).join(''), stderr: (stderr ?? []).join('') };
}
