import type { PeerKey } from '../../domain/ids.ts';
import { countAttempts, type JobMachineState, listOpenReplicas } from '../job-machine-state.ts';
import { listPreferred } from '../job-resume.ts';
import type { ProviderStandings } from './provider-standings.ts';

/** Of the providers that this node trusts for what they did for it, so many are asked first. */
export const MOST_TRUSTED = 32;

/**
 * Who is asked before others by their ranks: who has the pages of a paused replica; else, once an attempt has failed, those
 * that this node trusts. What others say of a provider can be made up; what this node has lived through cannot.
 */
export function listFirstAsked(
  state: JobMachineState,
  standings: Pick<ProviderStandings, 'listTrusted'>,
): readonly PeerKey[] {
  const replicas = listOpenReplicas(state);
  const paused = listPreferred(state, replicas);
  if (paused.length > 0) return paused;
  const hasFailed = replicas.some((replica) => countAttempts(state, replica).counted > 0);
  return hasFailed ? standings.listTrusted(MOST_TRUSTED) : [];
}
