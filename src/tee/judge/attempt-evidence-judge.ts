import type { EvidenceJudge, EvidenceJudgement, EvidenceQuestion } from '../../bundle/interface.ts';
import { failed } from '../checks.ts';
import { TeeError } from '../errors.ts';
import type { EvidenceCrypto } from '../interface.ts';
import type { EvidencePolicy } from '../policy.ts';
import { judgeAttemptEvidence } from './judge-attempt-evidence.ts';
import { listMeasurements } from './list-measurements.ts';
import { parsePolicyJson } from './read-policy.ts';

export interface AttemptEvidenceJudgeModules {
  readonly crypto: EvidenceCrypto;
}

export interface AttemptEvidenceJudgeOptions {
  /** Of a test network, or as a person has given it; null: SIMULATED evidence is not valid. */
  readonly simulatedRoot: Uint8Array | null;
}

/** Judges the evidence in a bundle: as of when the secrets were released to it, under the policy in the job. */
export class AttemptEvidenceJudge implements EvidenceJudge {
  readonly #crypto: EvidenceCrypto;
  readonly #simulatedRoot: Uint8Array | null;

  constructor({ crypto }: AttemptEvidenceJudgeModules, { simulatedRoot }: AttemptEvidenceJudgeOptions) {
    this.#crypto = crypto;
    this.#simulatedRoot = simulatedRoot;
  }

  async judge({ evidence, policy, atMs, expectation }: EvidenceQuestion): Promise<EvidenceJudgement> {
    const parsed = tryParse(policy);
    if (parsed instanceof TeeError) return { checks: [failed('policy', parsed.message)], measurements: [] };
    const { checks, kind, claims } = await judgeAttemptEvidence({
      evidence,
      expectation,
      policies: [parsed],
      atMs,
      crypto: this.#crypto,
      simulatedRoot: this.#simulatedRoot,
    });
    return { checks, measurements: kind === null || claims === null ? [] : listMeasurements(kind, claims) };
  }
}

function tryParse(policy: string): EvidencePolicy | TeeError {
  try {
    return parsePolicyJson(policy);
  } catch (error) {
    if (error instanceof TeeError) return error;
    throw error;
  }
}
