import type { EvidenceJudge, EvidenceJudgement, EvidenceQuestion } from '../../bundle/interface.ts';

/** Loads the verifiers of evidence where a file has some: most have none. */
export class LazyEvidenceJudge implements EvidenceJudge {
  readonly #simulatedRoot: Uint8Array | null;
  #loaded: Promise<EvidenceJudge> | undefined;

  /** @param options simulatedRoot: as a person has given it; null: SIMULATED evidence is unchecked */
  constructor({ simulatedRoot }: { readonly simulatedRoot: Uint8Array | null }) {
    this.#simulatedRoot = simulatedRoot;
  }

  async judge(question: EvidenceQuestion): Promise<EvidenceJudgement> {
    this.#loaded ??= this.#load();
    return await (await this.#loaded).judge(question);
  }

  async #load(): Promise<EvidenceJudge> {
    const [{ AttemptEvidenceJudge }, { NodeEvidenceCrypto }] = await Promise.all([
      import('../../tee/judge/attempt-evidence-judge.ts'),
      import('../../tee/crypto/node-evidence-crypto.ts'),
    ]);
    return new AttemptEvidenceJudge({ crypto: new NodeEvidenceCrypto() }, { simulatedRoot: this.#simulatedRoot });
  }
}
