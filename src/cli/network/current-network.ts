import { ConfigError } from '../../config/errors.ts';
import { loadConfig } from '../../config/load-config.ts';
import type { CliContext } from '../interface.ts';

/** Id of the network that a daemon of this data folder would be in; null, with a remark, where the settings are wrong. */
export async function findCurrentNetwork(context: CliContext, home: string): Promise<string | null> {
  const { environment, workingDirectory } = context;
  try {
    return (await loadConfig({ environment, workingDirectory, flags: { home } })).network.id;
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    context.output.note(error.message);
    return null;
  }
}
