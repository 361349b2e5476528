import { type CliModules, runCli } from '../../src/cli/framework/run-cli.ts';

export interface CliRun {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** One command line of the program, in this process. */
export async function runCommandLine(argv: readonly string[], workingDirectory: string): Promise<CliRun> {
  let stdout = '';
  let stderr = '';
  const modules: CliModules = {
    stdout: { write: (text) => (stdout += text) },
    stderr: { write: (text) => (stderr += text) },
    environment: { FOGPROOF_HOME: workingDirectory },
    workingDirectory,
    signal: new AbortController().signal,
    readSecret: async () => '',
  };
  const exitCode = await runCli(argv, modules, { version: '0.0.0' });
  return { exitCode, stdout, stderr };
}
