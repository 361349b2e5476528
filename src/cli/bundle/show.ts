import { resolve } from 'node:path';
import { z } from 'zod';
import { parseDsse } from '../../bundle/dsse.ts';
import { findProofBlobs } from '../../bundle/evidence-blobs.ts';
import { parseStatement, type Statement } from '../../bundle/in-toto.ts';
import type { AttemptAttestation } from '../../bundle/open-attestation.ts';
import { type Opened, openEvidence } from '../../bundle/open-evidence.ts';
import { type BundleSource, readBlocks } from '../../bundle/read-blocks.ts';
import type { ExecutorKind } from '../../domain/capability.ts';
import { listProgramBlobs } from '../../domain/workload.ts';
import { formatSize } from '../../lib/quantity.ts';
import { EXIT_CODES } from '../exit-codes.ts';
import { formatCount, formatDateTime, plural, renderFields, shortPeer } from '../format.ts';
import { type CliOutput, defineCommand } from '../interface.ts';
import { openBundleFile } from './open-bundle-file.ts';
import { listDigests } from './render-verification.ts';
import { renderAnchors, showAnchor } from './show-anchors.ts';

export const bundleShow = defineCommand({
  name: 'bundle show',
  summary: 'show what is in a bundle file',
  details:
    'Prints the job, the attempts and the files, without judging the evidence: for that there is `bundle verify`. Objects whose signature does not hold are named and not shown.',
  arguments: [{ name: 'file', description: 'bundle file, or an in-toto export', isRequired: true }],
  options: z.strictObject({}),
  examples: [{ line: 'fogproof bundle show job.bundle', does: 'Who ran what, and which files are in it.' }],
  run: async ({ arguments: [file = ''] }, { output, workingDirectory }) => {
    const path = resolve(workingDirectory, file);
    const opened = await openBundleFile(path);
    if (opened.kind === 'in-toto') {
      const statement = parseStatement(parseDsse(opened.bytes).payload);
      output.result({ file: path, kind: 'in-toto', statement }, () => renderStatement(statement));
      return EXIT_CODES.ok;
    }
    const contents = await readContents(opened.source);
    output.result({ file: path, kind: 'bundle', ...contents }, () => renderContents(contents, output));
    return EXIT_CODES.ok;
  },
});

function renderStatement({ subject, predicateType, predicate }: Statement): string[] {
  return [
    ...renderFields([['predicate', predicateType]]),
    '',
    'about',
    ...subject.map(({ name, digest }) => `  ${name ?? 'unnamed'}  ${listDigests(digest)}`),
    '',
    'states (--json gives all of it; `bundle verify` says who signed it)',
    ...Object.keys(predicate ?? {}).map((key) => `  ${key}`),
  ];
}

type Contents = Awaited<ReturnType<typeof readContents>>;

async function readContents(source: BundleSource) {
  const { bundle, rootId, kept } = await readBlocks(source, { keep: findProofBlobs });
  const evidence = await openEvidence(bundle, kept);
  return {
    root: rootId,
    exportedAtMs: bundle.exportedAtMs,
    job: showObject(evidence.job),
    attempts: evidence.attempts.map((attempt) => ({
      lease: showObject(attempt.lease),
      acceptance: showObject(attempt.acceptance),
      receipt: showObject(attempt.receipt),
      commitment: attempt.commitment && showObject(attempt.commitment),
      setSignature: attempt.setSignature && showObject(attempt.setSignature),
      lastProgress: attempt.lastProgress && showObject(attempt.lastProgress),
      release: attempt.release && showObject(attempt.release),
      attestation: showAttestation(attempt.attestation),
      inherited: attempt.inherited.map(({ lease, acceptance, checkpoints }) => ({
        lease: showObject(lease),
        acceptance: showObject(acceptance),
        checkpoints: checkpoints.map(showObject),
      })),
    })),
    unrevealed: evidence.unrevealed.map(({ lease, commitment }) => ({
      lease: showObject(lease),
      commitment: showObject(commitment),
    })),
    commitmentSet: evidence.commitmentSet,
    missingReplicas: evidence.missingReplicas,
    anchors: (bundle.anchors ?? []).map(showAnchor),
    blobs: bundle.blobs,
    snapshots: bundle.snapshots ?? [],
  };
}

function showObject<Value>(opened: Opened<Value>) {
  if (opened.kind === 'refused') return { refused: { code: opened.code, reason: opened.reason } };
  const { id, signer, value } = opened.signed;
  return { id, signer, value };
}

/** The evidence itself is a blob of the file; what it says of itself, not judged. */
function showAttestation(attestation: AttemptAttestation) {
  if (attestation.kind !== 'opened') return attestation;
  const { evidence, runtimeData } = attestation;
  return { kind: attestation.kind, tee: evidence.kind, hasGpus: evidence.gpus !== null, runtimeData };
}

function renderContents(contents: Contents, output: Pick<CliOutput, 'table'>): string[] {
  const { job, attempts, unrevealed, missingReplicas, blobs } = contents;
  return [
    ...renderJob(contents),
    '',
    ...output.table(['REPLICA', 'PROVIDER', 'OUTCOME', 'FUEL', 'FINISHED', 'OUTPUT ROOT'], attempts.map(renderAttempt)),
    ...unrevealed.map(({ lease }) =>
      'value' in lease
        ? `replica ${lease.value.replica + 1} (${shortPeer(lease.value.provider)}) committed and did not reveal`
        : 'a replica committed and did not reveal; its lease is refused',
    ),
    ...missingReplicas.map(
      ({ replica, reason }) => `replica ${replica + 1} is missing; the requester says, unsigned: ${reason}`,
    ),
    ...renderEvidence(contents, output),
    '',
    ...output.table(
      ['FILE', 'SIZE', 'IN THIS FILE', 'BLOB'],
      blobs.map(({ blob, sizeBytes, included }) => [
        nameBlob(blob, contents),
        formatSize(sizeBytes),
        included ? 'yes' : 'no',
        blob,
      ]),
    ),
    ...renderSnapshots(contents, output),
    ...renderAnchors(contents.anchors, output),
    ...('value' in job ? [] : [`the job is refused: ${job.refused.reason}`]),
  ];
}

function renderEvidence({ attempts }: Contents, output: Pick<CliOutput, 'table'>): string[] {
  const rows = attempts.flatMap(({ lease, release, attestation }) => {
    if (attestation.kind === 'none') return [];
    const replica = 'value' in lease ? String(lease.value.replica + 1) : '-';
    const judgedAt = release && 'value' in release ? formatDateTime(release.value.evaluatedAtMs) : 'not said';
    return [[replica, nameEvidence(attestation), judgedAt]];
  });
  return rows.length === 0 ? [] : ['', ...output.table(['REPLICA', 'EVIDENCE', 'ACCEPTED BY THE REQUESTER'], rows)];
}

function nameEvidence(attestation: Contents['attempts'][number]['attestation']): string {
  if (attestation.kind !== 'opened') return attestation.kind;
  const gpus = attestation.hasGpus ? ' with GPUs' : '';
  return attestation.tee === 'simulated' ? `SIMULATED, no hardware${gpus}` : `${attestation.tee}${gpus}`;
}

function renderSnapshots({ snapshots, attempts }: Contents, output: Pick<CliOutput, 'table'>): string[] {
  if (snapshots.length === 0) return [];
  const leases = attempts.flatMap(({ lease, inherited }) => [lease, ...inherited.map((earlier) => earlier.lease)]);
  const nameOf = (id: string): string => {
    const found = leases.find((lease) => 'value' in lease && (lease.id as string) === id);
    return found !== undefined && 'value' in found ? shortPeer(found.value.provider) : 'unknown';
  };
  const rows = snapshots.map(({ lease, step, snapshot }) => [String(step), nameOf(lease), snapshot.blob]);
  return ['', ...output.table(['SNAPSHOT AFTER STEP', 'MADE BY', 'ID'], rows)];
}

function renderJob({ job, root, exportedAtMs }: Contents): string[] {
  const value = 'value' in job ? job.value : undefined;
  return renderFields([
    ['bundle', root],
    ['exported', `${formatDateTime(exportedAtMs)} (not signed)`],
    ['job', 'value' in job ? `${job.value.name} (${job.id})` : 'refused'],
    ['requester', value?.requester],
    ['network', value?.network],
    ['runs', value && `${plural(value.replication.replicas, 'replica')}, ${value.replication.quorum} must agree`],
  ]);
}

function renderAttempt({ lease, receipt }: Contents['attempts'][number]): string[] {
  if (!('value' in lease)) return ['-', 'lease refused', lease.refused.code, '-', '-', '-'];
  const head = [String(lease.value.replica + 1), shortPeer(lease.value.provider)];
  if (!('value' in receipt)) return [...head, `receipt refused: ${receipt.refused.code}`, '-', '-', '-'];
  const { result, finishedAtMs, outputRoot } = receipt.value;
  const { outcome } = result;
  return [
    ...head,
    outcome.kind === 'completed' ? 'completed' : `${outcome.kind} ${outcome.code}`,
    result.fuel === null ? '-' : formatCount(result.fuel),
    formatDateTime(finishedAtMs),
    outputRoot,
  ];
}

const PROGRAM_NAMES = {
  wasm: 'module',
  command: 'root file system',
  inference: 'model',
} as const satisfies Record<Exclude<ExecutorKind, 'container'>, string>;

/** What the job or a receipt calls a blob. */
function nameBlob(blob: string, { job, attempts }: Contents): string {
  const workload = 'value' in job ? job.value.workload : undefined;
  const program = workload === undefined ? [] : listProgramBlobs(workload);
  const part = program.find((each) => each.blob === blob);
  if (workload !== undefined && part !== undefined) {
    return workload.kind === 'container' ? part.name : PROGRAM_NAMES[workload.kind];
  }
  const inputs = 'value' in job ? job.value.inputs : [];
  const outputs = attempts.flatMap(({ receipt }) => ('value' in receipt ? receipt.value.result.outputs : []));
  const isChain = attempts.some(({ receipt }) => 'value' in receipt && receipt.value.checkpointChain?.blob === blob);
  if (isChain) return 'checkpoint chain';
  const isEvidence = attempts.some(({ receipt }) => 'value' in receipt && receipt.value.attestation?.evidence === blob);
  if (isEvidence) return 'evidence of confidential hardware';
  const input = inputs.find((file) => file.blob === blob);
  const found = outputs.find((file) => file.blob === blob);
  return found === undefined ? `input ${input?.path ?? 'unknown'}` : `output ${found.path}`;
}
