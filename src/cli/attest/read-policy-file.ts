import { parseDocument } from 'yaml';
import { decodeUtf8 } from '../../lib/bytes.ts';
import { describeError, UsageError } from '../../lib/errors.ts';
import { type EvidencePolicy, parseEvidencePolicy } from '../../tee/policy.ts';
import { readEvidenceFile } from './read-evidence-file.ts';

const FLAG = '--policy';
const MAX_POLICY_BYTES = 256 * 1024;
/** Aliases that a document may expand: a bomb of nested ones is refused. */
const MAX_ALIASES = 100;

/** YAML 1.2, of which JSON is a part. @throws UsageError, TeeError TEE_POLICY_INVALID */
export async function readPolicyFile(path: string): Promise<EvidencePolicy> {
  const bytes = await readEvidenceFile(path, { flag: FLAG, maxBytes: MAX_POLICY_BYTES });
  return parseEvidencePolicy(parseYaml(path, bytes));
}

function parseYaml(path: string, bytes: Uint8Array): unknown {
  try {
    const document = parseDocument(decodeUtf8(bytes), { stringKeys: true, prettyErrors: false, logLevel: 'silent' });
    const [problem] = document.errors;
    if (problem !== undefined) throw problem;
    return document.toJS({ maxAliasCount: MAX_ALIASES });
  } catch (cause) {
    throw new UsageError(
      `${FLAG}: ${path} is neither YAML nor JSON: ${describeError(cause).split('\n')[0]}`,
      'Check indentation, quotes and brackets; docs/attestation.md has an example.',
      { cause },
    );
  }
}
