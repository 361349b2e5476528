import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { LocalChainStatus } from '../../src/localnet/interface.ts';
import type { RpcClient } from '../../src/rpc/client.ts';
import { connectSocket } from '../../src/rpc/socket-client.ts';
import type { Screen } from './screen.ts';
import { type Actor, type CommandResult, DemoFailure, type RunningDaemon, type Stage } from './stage.ts';

/** Longest that a daemon may take to open its control socket. */
const READY_TIMEOUT_MS = 15_000;
const POLL_MS = 25;

export interface CastMember extends RunningDaemon {
  readonly client: RpcClient;
  readonly peer: string;
  readonly listen: readonly string[];
  readonly readyAfterMs: number;
}

export interface ChainMember extends RunningDaemon {
  readonly status: LocalChainStatus;
}

/** What a user of the command line does, shown as it would be typed. */
export class Cast {
  readonly #stage: Stage;
  readonly #screen: Screen;
  readonly #signal: AbortSignal;

  constructor(modules: { readonly stage: Stage; readonly screen: Screen }, options: { readonly signal: AbortSignal }) {
    this.#stage = modules.stage;
    this.#screen = modules.screen;
    this.#signal = options.signal;
  }

  /** Shows the command line and runs it; `--json` is added, which the shown line does without. */
  async type(actor: Actor, line: readonly string[]): Promise<CommandResult> {
    this.#screen.command(`fogproof ${line.join(' ')}`);
    return await this.run(actor, line);
  }

  async run(actor: Actor, line: readonly string[]): Promise<CommandResult> {
    return await this.#stage.run(actor, [...line, '--json'], this.#signal);
  }

  /** The same, and the JSON that it printed. @throws DemoFailure if it fails */
  async expect<Value>(actor: Actor, line: readonly string[]): Promise<Value> {
    return parseResult<Value>(line, await this.type(actor, line));
  }

  async expectQuietly<Value>(actor: Actor, line: readonly string[]): Promise<Value> {
    return parseResult<Value>(line, await this.run(actor, line));
  }

  /** The items of a command that streams: a line of JSON each. */
  async *follow<Item>(actor: Actor, line: readonly string[]): AsyncGenerator<Item, void, undefined> {
    this.#screen.command(`fogproof ${line.join(' ')}`);
    for await (const text of this.#stage.lines(actor, [...line, '--json'], this.#signal))
      yield JSON.parse(text) as Item;
  }

  /** Starts a daemon and waits until its control socket answers. */
  async start(actor: Actor, line: readonly string[]): Promise<CastMember> {
    const daemon = this.#stage.startDaemon(actor, line);
    const client = await this.#connect(daemon);
    const status = await client.call('node.status', {}, { signal: this.#signal });
    const { peer, network, readyAfterMs } = status;
    return { ...daemon, client, peer, listen: network.listen, readyAfterMs };
  }

  /** Starts `fogproof localnet` on free ports and waits until it says where it is. */
  async startChain(actor: Actor, line: readonly string[]): Promise<ChainMember> {
    const daemon = this.#stage.startDaemon(actor, [...line, '--json']);
    let status: LocalChainStatus | undefined;
    await this.until('the local chain is ready', READY_TIMEOUT_MS, async () => {
      const log = await readFile(daemon.logFile, 'utf8').catch(() => '');
      if (daemon.process.exitCode !== null) throw new DemoFailure(`the local chain ended at once:\n${log}`);
      const ready = log.split('\n').find((text) => text.startsWith('{"url"') && text.endsWith('}'));
      if (ready !== undefined) status = JSON.parse(ready) as LocalChainStatus;
      return status !== undefined;
    });
    if (status === undefined) throw new DemoFailure('the local chain does not say where it is');
    return { ...daemon, status };
  }

  async stopChain({ process: child }: ChainMember): Promise<number> {
    const ended = once(child, 'exit', { signal: this.#signal });
    child.kill('SIGTERM');
    const [exitCode] = (await ended) as [number | null];
    return exitCode ?? -1;
  }

  /** Waits until something is so, asking again and again: the daemon has no event for everything. */
  async until(what: string, timeoutMs: number, isSo: () => Promise<boolean>): Promise<void> {
    const deadline = Date.now() + timeoutMs;
    while (!(await isSo())) {
      this.#signal.throwIfAborted();
      if (Date.now() > deadline) throw new DemoFailure(`waited ${timeoutMs / 1000} s in vain until ${what}`);
      await sleep(POLL_MS);
    }
  }

  async stop(member: CastMember): Promise<number> {
    await member.client[Symbol.asyncDispose]();
    const ended = once(member.process, 'exit', { signal: this.#signal });
    await this.run(member, ['node', 'stop']);
    const [exitCode] = (await ended) as [number | null];
    return exitCode ?? -1;
  }

  async #connect(daemon: RunningDaemon): Promise<RpcClient> {
    let client: RpcClient | undefined;
    await this.until(`${daemon.name} is ready`, READY_TIMEOUT_MS, async () => {
      if (daemon.process.exitCode !== null) {
        const log = await readFile(daemon.logFile, 'utf8');
        throw new DemoFailure(`${daemon.name} ended at once:\n${log.trimEnd().split('\n').slice(-15).join('\n')}`);
      }
      client = await connectSocket(daemon.socket, { signal: this.#signal }).catch(() => undefined);
      return client !== undefined;
    });
    if (client === undefined) throw new DemoFailure(`${daemon.name} has no control socket`);
    return client;
  }
}

function parseResult<Value>(line: readonly string[], result: CommandResult): Value {
  if (result.exitCode !== 0) {
    const told = `${result.stderr}${result.stdout}`.trim();
    throw new DemoFailure(`fogproof ${line.join(' ')} ended with ${result.exitCode}:\n${told}`);
  }
  // Checked field by field where the claims are made.
  return JSON.parse(result.stdout) as Value;
}

/** A copy of a file with one bit of the byte in its middle flipped. */
export async function writeTampered(source: string, target: string): Promise<void> {
  const bytes = await readFile(source);
  const middle = Math.floor(bytes.length / 2);
  bytes[middle] = (bytes[middle] ?? 0) ^ 1;
  await writeFile(target, bytes);
}
