import { resolve } from 'node:path';
import { z } from 'zod';
import { UsageError } from '../../lib/errors.ts';
import { NodeEvidenceCrypto } from '../../tee/crypto/node-evidence-crypto.ts';
import type { EvidenceKind, EvidenceVerdict } from '../../tee/interface.ts';
import type { EvidencePolicy } from '../../tee/policy.ts';
import {
  EVIDENCE_VERIFIERS,
  type EvidenceExpectation,
  type EvidenceFiles,
  type EvidenceInput,
  verifyEvidence,
} from '../../tee/verify-evidence.ts';
import { EXIT_CODES, type ExitCode } from '../exit-codes.ts';
import { toFlag } from '../framework/option-specs.ts';
import { defineCommand } from '../interface.ts';
import { readEvidenceFile } from './read-evidence-file.ts';
import { readHex, readTime } from './read-options.ts';
import { readPolicyFile } from './read-policy-file.ts';
import { listLimits, renderEvidence } from './render-evidence.ts';

const VERDICT_EXIT_CODES: Readonly<Record<EvidenceVerdict, ExitCode>> = {
  valid: EXIT_CODES.ok,
  invalid: EXIT_CODES.failed,
  unchecked: EXIT_CODES.unchecked,
};

const MAX_EVIDENCE_BYTES = 1024 * 1024;
const MAX_CERTIFICATE_FILE_BYTES = 256 * 1024;
const MAX_COLLATERAL_BYTES = 8 * 1024 * 1024;
const MAX_RIM_BYTES = 4 * 1024 * 1024;
const MAX_FILES = 16;
const NONCE_BYTES = 32;
const REPORT_DATA_BYTES = 64;
const SIMULATED_ROOT_BYTES = 32;

const KINDS = Object.keys(EVIDENCE_VERIFIERS) as EvidenceKind[];

const options = z.strictObject({
  kind: z.enum(KINDS).describe('what made the evidence').meta({ placeholder: 'KIND' }),
  evidence: z
    .string()
    .describe("report or quote, binary; sev-snp: also Azure's HCL form; nvidia: also the JSON of nvattest")
    .meta({ placeholder: 'FILE' }),
  certificate: z
    .array(z.string())
    .max(MAX_FILES)
    .default([])
    .describe(
      'certificates of the key that signed, DER or PEM; roots among them count for nothing, and quotes of tdx and sgx bring theirs',
    )
    .meta({ placeholder: 'FILE' }),
  collateral: z
    .string()
    .exactOptional()
    .describe(
      "what the vendor says of its platforms; tdx, sgx: JSON of a PCCS; sev-snp: the revocation list of AMD's root",
    )
    .meta({ placeholder: 'FILE' }),
  rim: z
    .array(z.string())
    .max(MAX_FILES)
    .default([])
    .describe('nvidia: reference manifest of the driver or the VBIOS')
    .meta({ placeholder: 'FILE' }),
  at: z.string().exactOptional().describe('judge as of this time instead of now').meta({ placeholder: 'TIME' }),
  policy: z.string().exactOptional().describe('what the evidence must say, YAML or JSON').meta({ placeholder: 'FILE' }),
  noPolicy: z.boolean().default(false).describe('do not judge which code runs, and do not count that as unchecked'),
  nonce: z
    .string()
    .exactOptional()
    .describe('nvidia: nonce that the report has to answer, 32 bytes')
    .meta({ placeholder: 'HEX' }),
  reportData: z
    .string()
    .exactOptional()
    .describe('what the report has to carry, at most 64 bytes; shorter is padded with zeros')
    .meta({ placeholder: 'HEX' }),
  simulatedRoot: z
    .string()
    .exactOptional()
    .describe('simulated, which is for tests and no hardware: `simulatedTee` of the network, 32 bytes')
    .meta({ placeholder: 'HEX' }),
});

type Options = z.output<typeof options>;

export const attestVerify = defineCommand({
  name: 'attest verify',
  summary: 'check evidence of confidential hardware',
  details:
    'Needs no daemon and no network: everything is judged from the files given, against the roots of the vendors that are built in. Prints each check with what was compared, then what the evidence says and what evidence of its kind never shows. Without --policy it is unchecked which code runs; --no-policy leaves that out by your word, and then a valid verdict says nothing of the code. What the vendor says of revocation is unchecked unless it is given with --collateral, or the policy accepts that (acceptUnchecked; NVIDIA tells it online only). Exit code 0 if every check passed, 1 if one failed, 3 if none failed and something could not be checked, 2 for wrong arguments and files that are malformed.',
  arguments: [],
  options,
  examples: [
    {
      line: 'fogproof attest verify --kind sev-snp --evidence report.bin --certificate vcek.der --collateral amd.crl --policy policy.yaml',
      does: "Check a SEV-SNP report against AMD's roots, its revocation list and your policy.",
    },
    {
      line: 'fogproof attest verify --kind sev-snp --evidence report.bin --certificate vlek.der --collateral amd.crl --at 2025-06-01 --no-policy',
      does: 'Only whether it was genuine then, by the list of then, and all that it says.',
    },
    {
      line: 'fogproof attest verify --kind tdx --evidence quote.bin --collateral collateral.json --policy policy.yaml',
      does: "Check a TDX quote against Intel's root, with what Intel says of its platforms.",
    },
    {
      line: 'fogproof attest verify --kind nvidia --evidence gpu.bin --certificate chain.pem --rim driver.xml --rim vbios.xml --nonce HEX --policy policy.yaml --json',
      does: 'Check a GPU with the manifests of its firmware, for programs.',
    },
  ],
  run: async ({ options: given }, { output, workingDirectory }) => {
    refuseContradictions(given);
    const at = (path: string): string => resolve(workingDirectory, path);
    const atMs = given.at === undefined ? Date.now() : readTime('--at', given.at);
    const expectation = readExpectation(given);
    const policy = await readPolicy(given, at);
    const files = await readFiles(given, at);
    const crypto = new NodeEvidenceCrypto();
    const request = { ...files, ...expectation, ...policy, atMs, crypto };
    const verification = await verifyEvidence(given.kind, request);
    const judged = { file: at(given.evidence), policy: describePolicy(given, at) };
    const doesNotClaim = listLimits(given.kind);
    output.result({ ...judged, ...verification, doesNotClaim }, () => renderEvidence(judged, verification));
    return VERDICT_EXIT_CODES[verification.verdict];
  },
});

function describePolicy({ policy, noPolicy }: Options, at: (path: string) => string): string {
  if (noPolicy) return 'none, as asked: which code runs is not judged';
  return policy === undefined ? 'not given' : at(policy);
}

function refuseContradictions(given: Options): void {
  if (given.policy !== undefined && given.noPolicy) {
    throw new UsageError('--policy and --no-policy exclude each other', 'Give one of them.');
  }
  const { inputs } = EVIDENCE_VERIFIERS[given.kind];
  const known: readonly EvidenceInput[] = inputs;
  const used: readonly (readonly [EvidenceInput, keyof Options, boolean])[] = [
    ['certificates', 'certificate', given.certificate.length > 0],
    ['collateral', 'collateral', given.collateral !== undefined],
    ['rims', 'rim', given.rim.length > 0],
    ['nonce', 'nonce', given.nonce !== undefined],
    ['reportData', 'reportData', given.reportData !== undefined],
    ['simulatedRoot', 'simulatedRoot', given.simulatedRoot !== undefined],
  ];
  const wrong = used.find(([input, , isGiven]) => isGiven && !known.includes(input));
  if (wrong === undefined) return;
  const takes = used.filter(([input]) => known.includes(input)).map(([, key]) => toFlag(key));
  throw new UsageError(`${toFlag(wrong[1])} is not for ${given.kind}`, `It takes ${takes.join(', ')}.`);
}

function readExpectation(given: Options): EvidenceExpectation {
  return {
    ...readExpected(given, 'nonce', { minBytes: NONCE_BYTES, maxBytes: NONCE_BYTES }),
    ...readExpected(given, 'reportData', { minBytes: 1, maxBytes: REPORT_DATA_BYTES }),
    ...readExpected(given, 'simulatedRoot', { minBytes: SIMULATED_ROOT_BYTES, maxBytes: SIMULATED_ROOT_BYTES }),
  };
}

function readExpected<Key extends keyof EvidenceExpectation & keyof Options>(
  given: Options,
  key: Key,
  size: { readonly minBytes: number; readonly maxBytes: number },
): { readonly [Name in Key]?: Uint8Array } {
  const text = given[key];
  if (text === undefined) return {};
  return { [key]: readHex(text, { flag: toFlag(key), ...size }) } as { readonly [Name in Key]?: Uint8Array };
}

async function readPolicy(
  { policy, noPolicy }: Options,
  at: (path: string) => string,
): Promise<{ readonly policy?: EvidencePolicy | 'none' }> {
  if (noPolicy) return { policy: 'none' };
  return policy === undefined ? {} : { policy: await readPolicyFile(at(policy)) };
}

async function readFiles(given: Options, at: (path: string) => string): Promise<EvidenceFiles> {
  const read = (path: string, flag: string, maxBytes: number) => readEvidenceFile(at(path), { flag, maxBytes });
  const { evidence, certificate, collateral, rim } = given;
  return {
    evidence: await read(evidence, '--evidence', MAX_EVIDENCE_BYTES),
    certificates: await Promise.all(certificate.map((path) => read(path, '--certificate', MAX_CERTIFICATE_FILE_BYTES))),
    rims: await Promise.all(rim.map((path) => read(path, '--rim', MAX_RIM_BYTES))),
    ...(collateral === undefined ? {} : { collateral: await read(collateral, '--collateral', MAX_COLLATERAL_BYTES) }),
  };
}
