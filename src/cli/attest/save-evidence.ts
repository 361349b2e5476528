import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { UsageError } from '../../lib/errors.ts';
import type { ProducedEvidence } from '../../tee/interface.ts';
import { describeFileProblem } from '../framework/describe-file-problem.ts';

/** Files in a new folder, each as `attest verify` takes it. Gives their paths. @throws UsageError */
export async function saveEvidence(folder: string, evidence: ProducedEvidence): Promise<readonly string[]> {
  const files = nameFiles(evidence);
  try {
    await mkdir(folder, { mode: 0o700 });
    for (const [name, content] of files) await writeFile(join(folder, name), content, { mode: 0o600, flag: 'wx' });
  } catch (cause) {
    throw new UsageError(`--save: ${folder}: ${describeFileProblem(cause)}`, 'Name a folder that is not there yet.', {
      cause,
    });
  }
  return files.map(([name]) => join(folder, name));
}

function nameFiles({ kind, report, certificates, collateral, gpus }: ProducedEvidence): [string, Uint8Array][] {
  const ending = kind === 'sev-snp' ? 'crl' : 'json';
  return [
    [`${kind}.bin`, report],
    ...certificates.map((content, index): [string, Uint8Array] => [`certificate-${index + 1}.der`, content]),
    ...(collateral === null ? [] : [[`collateral.${ending}`, collateral] as [string, Uint8Array]]),
    ...(gpus === null ? [] : [['gpus.json', gpus.report] as [string, Uint8Array]]),
    ...(gpus?.manifests ?? []).map((content, index): [string, Uint8Array] => [`manifest-${index + 1}.xml`, content]),
  ];
}
