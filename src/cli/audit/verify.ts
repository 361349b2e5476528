import { z } from 'zod';
import { computeDataPaths } from '../../config/paths.ts';
import { UsageError } from '../../lib/errors.ts';
import type { ChainHead } from '../../telemetry/audit/segments.ts';
import { type TrailVerification, verifyTrail } from '../../telemetry/audit/verify-trail.ts';
import { EXIT_CODES } from '../exit-codes.ts';
import { plural } from '../format.ts';
import { findLocations } from '../framework/locations.ts';
import { defineCommand } from '../interface.ts';
import { AuditError } from './errors.ts';

export const auditVerify = defineCommand({
  name: 'audit verify',
  summary: 'check that nothing in the audit log was changed or taken out',
  details:
    'Every entry holds the hash of the one before it. What was cut off at the end shows only against a head that somebody has noted elsewhere (--head). It is no proof against whoever can write all files anew. Needs no daemon. Exit code 1 if the chain is broken.',
  arguments: [],
  options: z.strictObject({
    head: z
      .string()
      .exactOptional()
      .describe('a head that was printed before, to be found in the log')
      .meta({ placeholder: 'SEQ:HASH' }),
  }),
  examples: [
    { line: 'fogproof audit verify', does: 'Check the chain; prints its head, to be noted elsewhere.' },
    { line: 'fogproof audit verify --head 4711:5d41…', does: 'Check also that the log still holds what it held then.' },
  ],
  run: async ({ options }, context) => {
    const folder = computeDataPaths(findLocations(context).home).audit;
    const verification = await verifyTrail(folder, readNoted(options.head));
    if (verification.firstSeq === null && verification.fault === null) {
      throw new AuditError({ code: 'CLI_NO_AUDIT_LOG', folder });
    }
    context.output.result(verification, () => renderVerification(verification));
    const isValid = verification.fault === null && verification.containsNoted !== false;
    return isValid ? EXIT_CODES.ok : EXIT_CODES.failed;
  },
});

function readNoted(text: string | undefined): ChainHead | undefined {
  if (text === undefined) return undefined;
  const [, seq, hash] = /^([1-9][0-9]{0,14}):([0-9a-f]{64})$/.exec(text) ?? [];
  if (seq === undefined || hash === undefined) {
    throw new UsageError(`'${text}' is no head of an audit log`, 'Give it as `fogproof audit verify` printed it.');
  }
  return { seq: Number(seq), hash };
}

export function renderVerification(found: TrailVerification): string[] {
  const { entries, firstSeq, head, removedThrough, fault, containsNoted } = found;
  const made = removedThrough === 0 ? '' : `; those up to ${removedThrough} made room, as the log says`;
  const range =
    firstSeq === null ? 'no entries' : `${plural(entries, 'entry', 'entries')}, ${firstSeq} to ${head.seq}${made}`;
  if (fault !== null) {
    return [`✗ broken at ${fault.file}:${fault.line}: ${fault.reason}`, `  whole before that: ${range}`];
  }
  const noted =
    containsNoted === null
      ? []
      : [
          containsNoted
            ? '✓ the noted head is in it'
            : '✗ the noted head is not in it: something was cut off or written anew',
        ];
  return [`✓ the chain is whole: ${range}`, ...noted, `head ${head.seq}:${head.hash}`];
}
