import type { JobId } from '../../../domain/ids.ts';
import type { Confidentiality } from '../../../tee/interface.ts';
import type { JobStore } from '../../job-store.ts';
import type { SecretsVault } from './secrets-vault.ts';

export interface OutputOpenerModules {
  readonly store: Pick<JobStore, 'loadRecord'>;
  /** Absent: no job is confidential. */
  readonly confidential?: { readonly confidentiality: Confidentiality; readonly vault: SecretsVault } | undefined;
}

/** What the output files of jobs say: those of confidential jobs are opened with the key that is kept with the job. */
export class OutputOpener {
  readonly #modules: OutputOpenerModules;

  constructor(modules: OutputOpenerModules) {
    this.#modules = modules;
  }

  /** @throws TeeError TEE_NOT_OPENED, at the end too: nothing of it may be used before */
  async *open(job: JobId, path: string, stored: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    const { store, confidential } = this.#modules;
    const sealedSecrets = confidential && (await store.loadRecord(job))?.sealedSecrets;
    if (confidential === undefined || sealedSecrets === undefined) {
      yield* stored;
      return;
    }
    const secrets = confidential.vault.open(job, sealedSecrets);
    try {
      yield* confidential.confidentiality.openOutput(stored, { contentKey: secrets.contentKey, path });
    } finally {
      confidential.confidentiality.erase(secrets);
    }
  }
}
