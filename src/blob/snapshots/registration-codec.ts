import { z } from 'zod';
import { BlobId, LeaseId } from '../../domain/ids.ts';
import { createJsonCodec } from '../../storage/codecs.ts';
import type { SnapshotKey } from '../interface.ts';

/** What is kept of a duty in the namespace `snapshots`; whose it is stands in the row's key. */
export interface RegistrationRow {
  readonly snapshot: BlobId;
  /** Of its items, when it came. */
  readonly addedBytes: number;
  readonly keptUntilMs: number;
}

export const REGISTRATION_CODEC = createJsonCodec<RegistrationRow>(
  z.strictObject({
    snapshot: z.custom<BlobId>((value) => typeof value === 'string' && tryParse(BlobId, value) !== undefined),
    addedBytes: z.int().min(0),
    keptUntilMs: z.number().min(0),
  }),
);

const STEP_DIGITS = 16;

/** Those of one lease are neighbours, in order of step. */
export function formatSnapshotKey({ role, lease, step }: SnapshotKey): string {
  return `${role}/${lease}/${String(step).padStart(STEP_DIGITS, '0')}`;
}

/** Undefined if it is none. */
export function parseSnapshotKey(text: string): SnapshotKey | undefined {
  const [role, leaseText = '', stepText = '', ...rest] = text.split('/');
  const lease = tryParse(LeaseId, leaseText);
  const step = Number(stepText);
  const isWhole = rest.length === 0 && stepText.length === STEP_DIGITS && Number.isSafeInteger(step) && step >= 0;
  if (lease === undefined || !isWhole || (role !== 'provider' && role !== 'holder')) return undefined;
  return { role, lease, step };
}

function tryParse<Id>(parse: (text: string) => Id, text: string): Id | undefined {
  try {
    return parse(text);
  } catch {
    return undefined;
  }
}
