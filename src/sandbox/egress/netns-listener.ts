import { spawn } from 'node:child_process';
import { Server } from 'node:net';
import { fileURLToPath } from 'node:url';
import { findExecutable } from '../isolation/find-executable.ts';
import { EGRESS_LISTEN_TIMEOUT_MS } from './constants.ts';
import { startListenerFailed } from './errors.ts';

const MAX_SAID_CHARS = 300;

/**
 * Listens on the loopback of a process's network namespace, for this process: another one enters the namespace, listens
 * there, and passes its socket on (unix(7), SCM_RIGHTS). Nothing of ours stays in the sandbox.
 * @param pid of a sandbox that this user made, or anybody's if this process is root
 * @throws SandboxError SANDBOX_EGRESS_UNAVAILABLE
 */
export async function listenInside(pid: number, signal: AbortSignal): Promise<Server> {
  const nsenter = findExecutable('nsenter');
  if (nsenter === null) throw startListenerFailed('nsenter (package util-linux) is not installed');
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
  const entry = fileURLToPath(new URL(`listen-entry.${extension}`, import.meta.url));
  const isRoot = process.getuid?.() === 0;
  // The namespace belongs to the sandbox's users: who is not root in all of them has to be one of theirs.
  const enter = isRoot ? ['--net'] : ['--user', '--preserve-credentials', '--net'];
  const child = spawn(nsenter, [`--target=${pid}`, ...enter, '--', process.execPath, '--no-warnings', entry], {
    cwd: '/',
    env: {},
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    signal: AbortSignal.any([signal, AbortSignal.timeout(EGRESS_LISTEN_TIMEOUT_MS)]),
    killSignal: 'SIGKILL',
  });
  let said = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    said = (said + chunk.toString('utf8')).slice(-MAX_SAID_CHARS);
  });
  const passed = Promise.withResolvers<Server>();
  let listener: Server | null = null;
  child.once('message', (_message, handle) => {
    if (handle instanceof Server) listener = handle;
  });
  child.once('error', (error) => passed.reject(startListenerFailed(error.message, error)));
  // Not before it is gone: until then it accepts connections as well.
  child.once('close', (exitCode) => {
    if (listener !== null) passed.resolve(listener);
    else passed.reject(startListenerFailed(said.trim() || `exit code ${exitCode}`));
  });
  return await passed.promise;
}
