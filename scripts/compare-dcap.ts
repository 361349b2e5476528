/**
 * npm run compare:dcap -- --library FOLDER: our verdicts on Intel's quotes beside those of @phala/dcap-qvl, which is
 * installed elsewhere for it: npm i --prefix FOLDER @phala/dcap-qvl@0.3.9
 */
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { describeError } from '../src/lib/errors.ts';
import { NodeEvidenceCrypto } from '../src/tee/crypto/node-evidence-crypto.ts';
import { verifyQuote } from '../src/tee/dcap/verify-quote.ts';
import { INTEL_VECTORS, readIntelEvidence } from '../test/support/intel-vectors.ts';

const HELP = `Usage: npm run compare:dcap -- --library FOLDER

Compares the verdicts on test/vectors/attestation with those of @phala/dcap-qvl, installed in FOLDER with
npm i --prefix FOLDER @phala/dcap-qvl@0.3.9. It is no dependency: it accepts collateral that must be refused.
Ends with exit code 1 if a verdict differs where no reason is known.`;

/** The library's verify(quote, collateral, seconds): a status, or an exception. */
type Verify = (quote: Uint8Array, collateral: unknown, seconds: number) => { readonly status: string };

const MODULE_RULE =
  "it compares the TDX module's components with the platform's levels though TEE_TCB_SVN[1] is above 0; Intel then leaves them to tdxModuleIdentities";

/** Verdicts that differ, and why. */
const EXPLAINED: Readonly<Record<string, string>> = {
  'tdx/tdx-v4-gcp-cos113': MODULE_RULE,
  'tdx/tdx-v4-azure-trustee': MODULE_RULE,
  'tdx/negative/tdx-v4-collateral-crl-badsig': 'it does not check the signature of revocation lists',
  'tdx/negative/tdx-v4-collateral-crl-attacker-empty': 'it does not check who signed a revocation list',
  'tdx/negative/tdx-v4-collateral-crl-missing': 'it takes an empty revocation list for one that revokes nothing',
};

/** Brought by whoever runs this; no dependency of ours. */
const LIBRARY = '@phala/dcap-qvl';

function isVerify(value: unknown): value is Verify {
  return typeof value === 'function';
}

function loadLibrary(folder: string): Verify {
  const require = createRequire(join(resolve(folder), 'index.js'));
  const library: unknown = require(LIBRARY);
  const verify: unknown =
    typeof library === 'object' && library !== null && 'verify' in library ? library.verify : undefined;
  if (!isVerify(verify)) throw new TypeError('the library has no function `verify`');
  return verify;
}

function judgeTheirs(verify: Verify, stem: string, atMs: number): string {
  const { quote, collateral } = readIntelEvidence(stem);
  if (collateral === null) return 'not asked: it needs collateral';
  try {
    return verify(quote, JSON.parse(new TextDecoder().decode(collateral)), Math.floor(atMs / 1000)).status;
  } catch (error) {
    return `refused: ${describeError(error)}`;
  }
}

async function judgeOurs(stem: string, atMs: number): Promise<string> {
  const crypto = new NodeEvidenceCrypto();
  const { checks, claims } = await verifyQuote({ ...readIntelEvidence(stem), policy: 'waived', atMs, crypto });
  const open = checks.filter(({ name, verdict }) => verdict !== 'passed' && name !== 'tcb');
  if (open.length > 0) return `refused: ${open.map(({ name }) => name).join(', ')}`;
  return claims?.tcb?.status ?? 'no status';
}

const REFUSED = ['refused', 'not asked', 'NotSupported'];

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { library: { type: 'string' }, help: { type: 'boolean', default: false } } });
  if (values.help) return console.log(HELP);
  if (values.library === undefined) {
    console.error('--library is needed; see --help');
    process.exitCode = 2;
    return;
  }
  const verify = loadLibrary(values.library);
  for (const { stem, at } of INTEL_VECTORS) {
    const [ours, theirs] = [await judgeOurs(stem, Date.parse(at)), judgeTheirs(verify, stem, Date.parse(at))];
    const isRefused = (verdict: string): boolean => REFUSED.some((word) => verdict.startsWith(word));
    const isSame = ours === theirs || (isRefused(ours) && isRefused(theirs));
    const reason = EXPLAINED[stem];
    if (!isSame && reason === undefined) process.exitCode = 1;
    const note = isSame ? 'same' : `DIFFERS (${reason ?? 'no reason is known'})`;
    console.log(`${stem}\n  ours    ${ours}\n  theirs  ${theirs}\n  ${note}`);
  }
}

await main();
