import { listSgxTargets, listTdxTargets } from './intel.ts';
import type { FuzzTarget } from './interface.ts';
import { listNvidiaTargets } from './nvidia.ts';
import { listSevSnpTargets } from './sev-snp.ts';

/** Everything that is fuzzed: by command as a whole, in the tests a sample of it. */
export const FUZZ_KINDS: Readonly<Record<string, () => readonly FuzzTarget[]>> = {
  'sev-snp': listSevSnpTargets,
  tdx: listTdxTargets,
  sgx: listSgxTargets,
  nvidia: listNvidiaTargets,
};
