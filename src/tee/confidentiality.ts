import type { Random } from '../lib/random.ts';
import type { Confidentiality, EvidenceCrypto } from './interface.ts';
import { judgeAttemptEvidence } from './judge/judge-attempt-evidence.ts';
import { parsePolicyJson, readPolicy } from './judge/read-policy.ts';
import { WebCryptoAttemptKeys } from './release/attempt-keys.ts';
import { createChallenge } from './release/challenge.ts';
import { sealSecrets } from './release/released-secrets.ts';
import { computeGpuNonce, computeReportData } from './release/report-data.ts';
import { eraseSecrets } from './sealing/erase-secrets.ts';
import { EventOpener, NumberedEventSealer } from './sealing/events.ts';
import { FreshInputSealer, openInput } from './sealing/inputs.ts';
import { keyMetricsHash } from './sealing/metrics-hash.ts';
import { openOutput, sealOutput } from './sealing/outputs.ts';

export interface ConfidentialityModules {
  readonly crypto: EvidenceCrypto;
  readonly random: Random;
}

export interface ConfidentialityOptions {
  /** Of the definition of a test network; null: SIMULATED evidence is never valid. */
  readonly simulatedRoot: Uint8Array | null;
}

/** Needs nothing of Node but what the given crypto and random need. */
export function createConfidentiality(
  { crypto, random }: ConfidentialityModules,
  { simulatedRoot }: ConfidentialityOptions,
): Confidentiality {
  const events = new EventOpener();
  return {
    readPolicy,
    createInputSealer: () => new FreshInputSealer({ random }),
    createChallenge: () => createChallenge({ random }),
    judge: async (evidence, expectation, { policies: texts, atMs }) => {
      const policies = texts.map(parsePolicyJson);
      return judgeAttemptEvidence({ evidence, expectation, policies, atMs, crypto, simulatedRoot });
    },
    sealSecrets,
    openEvent: (event, key) => events.open(event, key),
    openOutput,
    createAttemptKeys: () => WebCryptoAttemptKeys.create(),
    computeReportData: (runtimeData) => computeReportData(crypto, runtimeData),
    computeGpuNonce: (reportData) => computeGpuNonce(crypto, reportData),
    openInput,
    sealOutput,
    createEventSealer: (contentKey, lease) => new NumberedEventSealer({ contentKey, lease }),
    keyMetricsHash,
    erase: (secrets) => {
      events.forget(secrets.contentKey);
      eraseSecrets(secrets);
    },
  };
}
