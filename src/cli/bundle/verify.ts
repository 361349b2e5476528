import { resolve } from 'node:path';
import { z } from 'zod';
import { BundleError, isTampered } from '../../bundle/errors.ts';
import { verifyBundle } from '../../bundle/verify.ts';
import { verifyInToto } from '../../bundle/verify-in-toto.ts';
import type { VerificationVerdict } from '../../domain/assurance.ts';
import { PeerKey } from '../../domain/ids.ts';
import { UsageError } from '../../lib/errors.ts';
import { EXIT_CODES, type ExitCode } from '../exit-codes.ts';
import { type CliContext, defineCommand } from '../interface.ts';
import { type BundleFile, openBundleFile } from './open-bundle-file.ts';
import { renderInToto, renderVerification } from './render-verification.ts';

const VERDICT_EXIT_CODES: Readonly<Record<VerificationVerdict['kind'], ExitCode>> = {
  valid: EXIT_CODES.ok,
  invalid: EXIT_CODES.failed,
  unchecked: EXIT_CODES.unchecked,
};

export const bundleVerify = defineCommand({
  name: 'bundle verify',
  summary: 'check a bundle file offline',
  details:
    'Needs no daemon and no network. Prints for each assurance what is claimed, by whom, under which assumptions, what is not claimed and the verdict, then what the file does not prove. Exit code 0 if all is valid, 1 if something is invalid or the file was changed, 3 if nothing is invalid and something could not be checked, 2 for a file that is no bundle.',
  arguments: [{ name: 'file', description: 'bundle file, or an in-toto export', isRequired: true }],
  options: z.strictObject({
    signer: z
      .string()
      .exactOptional()
      .describe('peer id whose signature an in-toto export must have')
      .meta({ placeholder: 'PEER' }),
  }),
  examples: [
    { line: 'fogproof bundle verify job.bundle', does: 'Say what the file proves, and what it does not.' },
    { line: 'fogproof bundle verify job.bundle --json', does: 'The same with every single check, for programs.' },
  ],
  run: async ({ arguments: [file = ''], options: { signer } }, context) => {
    const path = resolve(context.workingDirectory, file);
    const opened = await openBundleFile(path);
    if (opened.kind === 'in-toto') return await runInToto(path, { opened, signer }, context);
    if (signer !== undefined) {
      throw new UsageError('--signer is for in-toto exports', 'A bundle file names the signer of each of its objects.');
    }
    return await runBundle(path, opened, context);
  },
});

async function runBundle(
  path: string,
  { source }: Extract<BundleFile, { kind: 'bundle' }>,
  { output }: CliContext,
): Promise<ExitCode> {
  try {
    const verification = await verifyBundle(source, { nowMs: Date.now() });
    output.result({ file: path, kind: 'bundle', ...verification }, () => renderVerification(path, verification));
    return VERDICT_EXIT_CODES[verification.verdict];
  } catch (error) {
    if (!(error instanceof BundleError) || !isTampered(error)) throw error;
    const { info, message, hint } = error;
    output.result({ file: path, kind: 'bundle', verdict: 'invalid', error: { ...info, message, hint } }, () => [
      `file     ${path}`,
      'verdict  INVALID',
      `         ${message}`,
      `         ${hint}`,
    ]);
    return EXIT_CODES.failed;
  }
}

async function runInToto(
  path: string,
  { opened, signer }: { opened: Extract<BundleFile, { kind: 'in-toto' }>; signer: string | undefined },
  { output }: CliContext,
): Promise<ExitCode> {
  const verification = await verifyInToto(opened.bytes, signer === undefined ? {} : { signer: PeerKey(signer) });
  output.result({ file: path, kind: 'in-toto', ...verification }, () => renderInToto(path, verification));
  return VERDICT_EXIT_CODES[verification.verdict];
}
