import { readFile, stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { parseDocument } from 'yaml';
import { listPolicyKinds } from '../../domain/confidential.ts';
import { MAX_POLICY_CHARS } from '../../domain/job.ts';
import type { JobFile } from '../../domain/job-file.ts';
import { describeError } from '../../lib/errors.ts';
import { TeeError } from '../../tee/errors.ts';
import { parseEvidencePolicy } from '../../tee/policy.ts';
import { describeFileProblem } from '../framework/describe-file-problem.ts';
import { JobFileError } from './errors.ts';

/** Aliases that a document may expand: a bomb of nested ones is refused. */
const MAX_ALIASES = 100;

/**
 * JSON of the policy of a confidential job, as the job carries it; undefined for other jobs.
 * @throws JobFileError JOB_FILE_BAD_POLICY
 */
export async function loadPolicy(
  { jobFile }: { readonly jobFile: JobFile },
  directory: string,
): Promise<string | undefined> {
  const { confidential } = jobFile;
  if (confidential === undefined) return undefined;
  const { policy } = confidential;
  if (typeof policy !== 'string') return checkPolicy('confidential.policy', policy);
  const path = resolve(directory, policy);
  return checkPolicy(path, parsePolicyText(path, await readPolicyText(path)));
}

async function readPolicyText(path: string): Promise<string> {
  try {
    const status = await stat(path);
    if (!status.isFile()) throw bad(path, ['it is not a regular file']);
    if (status.size > MAX_POLICY_CHARS) throw bad(path, [`it has more than ${MAX_POLICY_CHARS} bytes`]);
    return await readFile(path, 'utf8');
  } catch (error) {
    if (error instanceof JobFileError) throw error;
    throw bad(path, [describeFileProblem(error)], error);
  }
}

/** YAML 1.2, of which JSON is a part. */
function parsePolicyText(path: string, text: string): unknown {
  try {
    const document = parseDocument(text, { stringKeys: true, prettyErrors: false, logLevel: 'silent' });
    const [problem] = document.errors;
    if (problem !== undefined) throw problem;
    return document.toJS({ maxAliasCount: MAX_ALIASES });
  } catch (error) {
    throw bad(path, [`it is neither YAML nor JSON: ${describeError(error).split('\n')[0]}`], error);
  }
}

function checkPolicy(source: string, value: unknown): string {
  try {
    parseEvidencePolicy(value);
  } catch (error) {
    if (error instanceof TeeError && error.info.code === 'TEE_POLICY_INVALID')
      throw bad(source, error.info.issues, error);
    throw error;
  }
  const text = JSON.stringify(value);
  if (text.length > MAX_POLICY_CHARS) throw bad(source, [`it has more than ${MAX_POLICY_CHARS} characters`]);
  if (listPolicyKinds(text).kinds.length === 0) {
    throw bad(source, ['it has no section of an environment that jobs run in: sev-snp, tdx or sgx']);
  }
  return text;
}

function bad(source: string, issues: readonly string[], cause?: unknown): JobFileError {
  return new JobFileError({ code: 'JOB_FILE_BAD_POLICY', source, issues }, { cause });
}
