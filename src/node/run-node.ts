import { once } from 'node:events';
import { loadConfig } from '../config/load-config.ts';
import { KeystoreFile } from '../identity/keystore-file.ts';
import { SystemClock } from '../lib/clock.ts';
import { isAbortError } from '../lib/errors.ts';
import { SystemRandom } from '../lib/random.ts';
import { type LogStream, PinoLogger } from '../telemetry/pino-logger.ts';
import { PromMetricsRegistry } from '../telemetry/prom-metrics.ts';
import { createNode } from './create-node.ts';
import { NodeError } from './errors.ts';
import type { NodeSeams, RunNodeOptions } from './interface.ts';
import type { FogproofNode } from './node.ts';

/**
 * Runs a daemon from configuration to its end. Resolves with 0 after a stop that was asked for.
 * @throws the coded error of what could not start, NodeError NODE_DUPLICATE_IDENTITY, NODE_START_ABORTED
 */
export async function runNode(options: RunNodeOptions, seams: NodeSeams = {}): Promise<0> {
  const { environment, overrides, home, signal } = options;
  const flags = home === undefined ? overrides : { ...overrides, home };
  const loaded = await loadConfig({ environment, workingDirectory: process.cwd(), flags });
  const { config } = loaded;
  const keystore = new KeystoreFile(
    { clock: seams.clock ?? new SystemClock(), random: new SystemRandom() },
    { home: config.home },
  );
  const { identity, remarks } = await keystore.unlock({
    environment,
    file: config.keystore.passphraseFile,
    prompt: options.readSecret ?? null,
  });
  await using logger = await PinoLogger.open({
    level: config.log.level,
    file: config.log.file === null ? null : { path: config.log.file },
    stream: options.log === 'file' ? null : standardError(options.log, environment),
  });
  const modules = { identity, identityRemarks: remarks, logger, metrics: new PromMetricsRegistry(), seams };
  await using node = await createNode(loaded, modules, { signal }).catch((error: unknown) => {
    throw signal.aborted && isAbortError(error) ? new NodeError({ code: 'NODE_START_ABORTED' }) : error;
  });
  await runUntilStopped(node, options);
  if (node.stopping.reason instanceof NodeError) throw node.stopping.reason;
  if (signal.aborted) logger.info({}, 'stopping');
  return 0;
}

async function runUntilStopped(node: FogproofNode, { signal, onReady }: RunNodeOptions): Promise<void> {
  const onAbort = (): void => node.stop({ drain: false });
  if (signal.aborted) throw new NodeError({ code: 'NODE_START_ABORTED' });
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    await node.start();
    onReady(await node.status());
    if (!node.stopping.aborted) await once(node.stopping, 'abort');
  } catch (error) {
    if (!node.stopping.aborted || !isAbortError(error)) throw error;
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

function standardError(format: LogStream['format'], environment: RunNodeOptions['environment']): LogStream {
  return {
    format,
    hasColors: process.stderr.isTTY && !environment['NO_COLOR'] && environment['TERM'] !== 'dumb',
    write: (text) => void process.stderr.write(text),
  };
}
