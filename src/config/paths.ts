import { isAbsolute, join, resolve } from 'node:path';
import { MAX_SOCKET_PATH_BYTES } from './constants.ts';
import { ConfigError } from './errors.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

/** Files and folders of a data folder. */
export function computeDataPaths(home: string) {
  return {
    config: join(home, 'config.yaml'),
    networks: join(home, 'networks'),
    database: join(home, 'db'),
    peerstore: join(home, 'peerstore'),
    blobs: join(home, 'blobs'),
    snapshots: join(home, 'snapshots'),
    instrumented: join(home, 'cache', 'instrumented'),
    /** Root file systems of commands, unpacked. */
    roots: join(home, 'cache', 'roots'),
    /** Images of containers, unpacked. */
    images: join(home, 'cache', 'images'),
    /** What hardware vendors say of their platforms, fetched. */
    attestation: join(home, 'attestation'),
    /** Key files of the SIMULATED TEEs of test networks, `<network>.json`. */
    simulatedTees: join(home, 'simulated-tees'),
    /** What was decided about others' work. */
    audit: join(home, 'audit'),
    log: join(home, 'node.log'),
  } as const;
}

/**
 * The data folder (design section 12): the `--home` flag, else `FOGPROOF_HOME`, else `$XDG_DATA_HOME/fogproof`, else
 * `~/.local/share/fogproof`. Absolute. @throws ConfigError CONFIG_NO_HOME
 */
export function resolveHome(environment: Environment, flag?: string): string {
  const chosen = flag ?? readVariable(environment, 'FOGPROOF_HOME');
  return chosen === undefined ? resolveDefaultHome(environment) : resolve(chosen);
}

function resolveDefaultHome(environment: Environment): string {
  const dataHome = readVariable(environment, 'XDG_DATA_HOME');
  // XDG base directory specification 0.8: relative paths in these variables are invalid and ignored.
  if (dataHome !== undefined && isAbsolute(dataHome)) return join(dataHome, 'fogproof');
  const userHome = readVariable(environment, 'HOME');
  if (userHome === undefined) throw new ConfigError({ code: 'CONFIG_NO_HOME' });
  return resolve(userHome, '.local', 'share', 'fogproof');
}

/**
 * The control socket: the `--socket` flag, else `FOGPROOF_SOCKET`, else `$XDG_RUNTIME_DIR/fogproof/node.sock` for the
 * default data folder, else `node.sock` in the data folder: a daemon with a folder of its own gets a socket of its own.
 * @throws ConfigError CONFIG_SOCKET_PATH_TOO_LONG
 */
export function resolveSocketPath(environment: Environment, home: string, flag?: string): string {
  const chosen = flag ?? readVariable(environment, 'FOGPROOF_SOCKET');
  const path = chosen === undefined ? resolveDefaultSocket(environment, home) : resolve(chosen);
  const sizeBytes = Buffer.byteLength(path);
  if (sizeBytes > MAX_SOCKET_PATH_BYTES) {
    throw new ConfigError({
      code: 'CONFIG_SOCKET_PATH_TOO_LONG',
      path,
      sizeBytes,
      maxBytes: MAX_SOCKET_PATH_BYTES,
    });
  }
  return path;
}

function resolveDefaultSocket(environment: Environment, home: string): string {
  const runtime = readVariable(environment, 'XDG_RUNTIME_DIR');
  const isDefaultHome = environment['HOME'] !== undefined && home === resolveDefaultHome(environment);
  if (runtime !== undefined && isAbsolute(runtime) && isDefaultHome) return join(runtime, 'fogproof', 'node.sock');
  return join(home, 'node.sock');
}

/** Undefined also if it is set to nothing. */
export function readVariable(environment: Environment, name: string): string | undefined {
  const value = environment[name];
  return value === '' ? undefined : value;
}
