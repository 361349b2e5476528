/**
 * in-toto Statement v1 (in-toto/attestation, spec/v1/statement.md) over the outputs of a job. Its predicate is what this
 * program found when it verified the evidence; the evidence itself stays in the bundle file.
 */
import { CID } from 'multiformats/cid';
import { z } from 'zod';
import { isTreeId } from '../domain/blob-tree.ts';
import type { BlobId } from '../domain/ids.ts';
import type { Job } from '../domain/job.ts';
import type { Receipt } from '../domain/receipt.ts';
import type { Signed } from '../domain/signed.ts';
import { decodeUtf8, encodeHex, encodeUtf8 } from '../lib/bytes.ts';
import { describeError } from '../lib/errors.ts';
import type { AcceptedResult } from './checks/accepted-result.ts';
import { SIMULATED_WARNING } from './checks/attested/describe-attested.ts';
import type { JudgedAttempt } from './checks/attested/judge-attempt.ts';
import { combineChecks } from './checks/check.ts';
import { BundleError } from './errors.ts';
import type { BundleVerification } from './interface.ts';

export const IN_TOTO_PAYLOAD_TYPE = 'application/vnd.in-toto+json';
const STATEMENT_TYPE = 'https://in-toto.io/Statement/v1';
/** Names the form of our predicate; a change of its fields gets a new one. */
export const PREDICATE_TYPE = 'urn:fogproof:predicate:compute-result:v1';

const digestSchema = z
  .record(z.string(), z.string())
  .refine((digest) => Object.keys(digest).length > 0, 'a subject must have a digest');

/** Parsing rules of in-toto: unknown fields are ignored, predicate may be omitted. */
const statementSchema = z.object({
  _type: z.literal(STATEMENT_TYPE),
  subject: z.array(z.object({ name: z.string().optional(), digest: digestSchema })).min(1),
  predicateType: z.string().min(1),
  predicate: z.record(z.string(), z.unknown()).optional(),
});
export type Statement = z.output<typeof statementSchema>;

/** @throws BundleError BUNDLE_MALFORMED */
export function parseStatement(payload: Uint8Array): Statement {
  try {
    return statementSchema.parse(JSON.parse(decodeUtf8(payload)));
  } catch (error) {
    const reason = `its payload is no in-toto statement: ${error instanceof z.ZodError ? z.prettifyError(error) : describeError(error)}`;
    throw new BundleError({ code: 'BUNDLE_MALFORMED', reason }, { cause: error });
  }
}

export interface StatementContent {
  readonly job: Signed<Job>;
  readonly accepted: AcceptedResult;
  readonly receipts: readonly Signed<Receipt>[];
  readonly attested: readonly JudgedAttempt[];
  readonly verification: BundleVerification;
  readonly statedAtMs: number;
}

/** Canonical JSON is not needed: the bytes that this gives are what is signed. */
export function encodeStatement(content: StatementContent): Uint8Array {
  const statement: Statement = {
    _type: STATEMENT_TYPE,
    subject: listSubjects(content.accepted),
    predicateType: PREDICATE_TYPE,
    predicate: createPredicate(content),
  };
  return encodeUtf8(JSON.stringify(statement));
}

/** The output files; where there are none, the result itself, since a statement must be about something. */
function listSubjects({ result, outputRoot }: AcceptedResult): Statement['subject'] {
  if (result.outputs.length === 0) return [{ name: 'result', digest: { sha256: sha256Of(outputRoot) } }];
  return result.outputs.map(({ path, blob }) => ({ name: path, digest: digestOf(blob) }));
}

/** The digest in a raw id is the file's SHA-256; in that of a blob with a tree it is the root's, and has a name of its own. */
function digestOf(blob: BlobId): Readonly<Record<string, string>> {
  return isTreeId(blob) ? { 'unixfs-v1-2025': blob } : { sha256: sha256Of(blob) };
}

function sha256Of(cid: string): string {
  return encodeHex(CID.parse(cid).multihash.digest);
}

function createPredicate({ job, accepted, receipts, attested, verification, statedAtMs }: StatementContent) {
  const { workload, inputs, replication, isolation } = job.value;
  return {
    job: {
      ...verification.job,
      ...describeWorkload(workload),
      inputs: inputs.map(({ path, blob }) => ({ name: path, digest: digestOf(blob) })),
      replication,
      isolation,
      ...describeConfidential(job.value),
    },
    result: {
      outputRoot: accepted.outputRoot,
      outcome: accepted.result.outcome,
      fuel: accepted.result.fuel,
      steps: accepted.result.steps,
      instrumenter: accepted.result.instrumenter,
    },
    receipts: receipts.map(({ id, value }) => ({
      id,
      provider: value.provider,
      lease: value.lease,
      outputRoot: value.outputRoot,
      startedAt: new Date(value.startedAtMs).toISOString(),
      finishedAt: new Date(value.finishedAtMs).toISOString(),
      sandbox: value.sandbox,
    })),
    ...(attested.length === 0 ? {} : { attested: attested.flatMap(describeEvidence) }),
    verification: {
      statedAt: new Date(statedAtMs).toISOString(),
      verdict: verification.verdict,
      assurances: verification.assurances,
      notProven: verification.notProven,
    },
  };
}

function describeWorkload(workload: Job['workload']) {
  if (workload.kind === 'inference') {
    const { model, modelSizeBytes: _, ...options } = workload;
    return { ...options, model: { digest: digestOf(model) } };
  }
  const { arguments: words, environment } = workload;
  if (workload.kind === 'wasm') {
    const { module, abi, seed } = workload;
    return { module: { digest: digestOf(module) }, abi, arguments: words, environment, seed: encodeHex(seed) };
  }
  if (workload.kind === 'container') {
    const { image, entrypoint, workingFolder, limits } = workload;
    const { digest } = image;
    return { kind: workload.kind, image: digest, entrypoint, arguments: words, environment, workingFolder, limits };
  }
  const { root, program, limits } = workload;
  const files = root.kind === 'archive' ? { digest: digestOf(root.blob) } : { host: true };
  return { kind: workload.kind, root: files, program, arguments: words, environment, limits };
}

/** Inputs and outputs are named by the hashes of sealed bytes; what they hold is committed to. */
function describeConfidential({ confidential }: Job) {
  if (confidential === undefined) return {};
  const { policy, commitments } = confidential;
  return { confidential: { policy, inputCommitments: commitments.map(encodeHex) } };
}

function describeEvidence({ attempt: { attestation }, terms, evaluatedAtMs, measurements, checks }: JudgedAttempt) {
  const named = terms.receipt.value.attestation;
  if (attestation.kind !== 'opened' || named === undefined) return [];
  const { kind, gpus } = attestation.evidence;
  return [
    {
      receipt: terms.receipt.id,
      tee: kind,
      ...(kind === 'simulated' ? { warning: SIMULATED_WARNING } : {}),
      hasGpus: gpus !== null,
      measurements,
      evaluatedAt: evaluatedAtMs === null ? null : new Date(evaluatedAtMs).toISOString(),
      evidence: digestOf(named.evidence),
      release: named.release,
      verdict: combineChecks(checks),
    },
  ];
}

const verdictSchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('valid') }),
  z.object({ kind: z.literal('invalid'), code: z.string(), reason: z.string() }),
  z.object({ kind: z.literal('unchecked'), missing: z.string() }),
]);

const claimsSchema = z.object({
  verification: z.object({
    verdict: z.enum(['valid', 'invalid', 'unchecked']),
    assurances: z.array(
      z.object({
        assurance: z.string(),
        statement: z.string(),
        verdict: verdictSchema,
        isSimulated: z.literal(true).exactOptional(),
      }),
    ),
    notProven: z.array(z.string()),
  }),
});
export type StatementClaims = z.output<typeof claimsSchema>['verification'];

/** What a statement of ours says was found, or undefined for a predicate of another kind. */
export function readClaims(statement: Statement): StatementClaims | undefined {
  if (statement.predicateType !== PREDICATE_TYPE) return undefined;
  return claimsSchema.safeParse(statement.predicate).data?.verification;
}
