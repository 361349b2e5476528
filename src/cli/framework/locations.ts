import { resolveHome, resolveSocketPath } from '../../config/paths.ts';
import type { CliContext } from '../interface.ts';

/** Data folder and control socket, as the daemon itself finds them. @throws ConfigError */
export function findLocations({ environment, home, socket }: Pick<CliContext, 'environment' | 'home' | 'socket'>): {
  readonly home: string;
  readonly socket: string;
} {
  const folder = resolveHome(environment, home);
  return { home: folder, socket: resolveSocketPath(environment, folder, socket) };
}
