import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Execution, Transcript } from './interface.ts';

/** Long enough for 20 million units of fuel under any tier, on a machine that is busy. */
const EXECUTION_TIMEOUT_MS = 60_000;

/** In KiB; the main thread has 8 MiB nearly everywhere. */
const STACK_KIB = 7500;

/** Flags of the engine, as in the determinism tests of the sandbox. */
export const TIERS = [
  { tier: 'Liftoff', flags: ['--liftoff', '--no-wasm-tier-up'] },
  { tier: 'TurboFan', flags: ['--no-liftoff'] },
  { tier: 'as it comes', flags: [] },
] as const;

/** One child under one tier; started anew after a crash or a run that does not end. */
export class TierProcess implements AsyncDisposable {
  readonly tier: string;
  private readonly flags: readonly string[];
  private child: ChildProcess | null = null;

  constructor({ tier, flags }: { readonly tier: string; readonly flags: readonly string[] }) {
    this.tier = tier;
    this.flags = flags;
  }

  /** A text says what kept the child from an answer. */
  async execute(execution: Execution): Promise<Transcript | string> {
    const child = await this.start();
    const signal = AbortSignal.timeout(EXECUTION_TIMEOUT_MS);
    const ended = Promise.withResolvers<string>();
    const onExit = (code: number | null, name: string | null): void => ended.resolve(`ended with ${code ?? name}`);
    const onTimeout = (): void => ended.resolve('did not end');
    child.once('exit', onExit);
    signal.addEventListener('abort', onTimeout, { once: true });
    const answered = Promise.withResolvers<Transcript | string>();
    const onMessage = (answer: Transcript | { readonly failure: string }): void =>
      answered.resolve('failure' in answer ? answer.failure : answer);
    child.once('message', onMessage);
    child.send(execution);
    try {
      const answer = await Promise.race([answered.promise, ended.promise]);
      if (typeof answer === 'string') await this.stop();
      return answer;
    } finally {
      child.off('exit', onExit);
      child.off('message', onMessage);
      signal.removeEventListener('abort', onTimeout);
    }
  }

  private async start(): Promise<ChildProcess> {
    if (this.child?.connected === true) return this.child;
    const child = fork(fileURLToPath(new URL('./child.ts', import.meta.url)), {
      execArgv: [`--stack-size=${STACK_KIB}`, ...this.flags],
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    this.child = child;
    await once(child, 'message');
    return child;
  }

  private async stop(): Promise<void> {
    const { child } = this;
    this.child = null;
    if (child === null || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    await exited;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}
