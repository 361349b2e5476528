/**
 * Names of crash points. They are read off what is written, so that none has to be planted in the daemon: a point is one
 * kind of change to one namespace, such as `jobs=end` or `job-history=lease-issued`. The writes of a group commit share
 * one commit, and which ones do is a matter of time; so a commit passes the points of all its changes.
 */
import * as dagCbor from '@ipld/dag-cbor';
import type { DiskEffect, WriteOperation } from '../../src/storage/interface.ts';

/** The points that one commit passes, without repetition and in order. */
export function nameCommit(operations: readonly WriteOperation[]): readonly string[] {
  return [...new Set(operations.flatMap(nameOperation))].sort();
}

export function nameEffect({ store, kind }: DiskEffect): string {
  return `disk/${store}=${kind}`;
}

function nameOperation(operation: WriteOperation): readonly string[] {
  const { namespace } = operation;
  if (operation.kind === 'delete') return [`${namespace}=delete`];
  const details = describePut(operation);
  return details.length === 0 ? [namespace] : details.map((detail) => `${namespace}=${detail}`);
}

function describePut({ namespace, key, value }: Extract<WriteOperation, { kind: 'put' }>): readonly string[] {
  switch (namespace) {
    case 'jobs':
      return [key.endsWith('/end') ? 'end' : 'new'];
    case 'job-objects':
      return [key.split('/').at(-1) ?? ''];
    case 'job-checkpoints':
      return key.endsWith('/held') ? ['held'] : [];
    case 'job-history':
      return listKinds(decode(value));
    case 'leases':
      return readText(decode(value), 'phase');
    case 'job-batches':
    case 'snapshots':
    case 'snapshot-duties':
    case 'receipt-outbox':
    case 'observation-outbox':
      return [key.split('/')[0] ?? ''];
    default:
      return [];
  }
}

function decode(value: Uint8Array): unknown {
  try {
    return dagCbor.decode(value);
  } catch {
    // Some other encoding: the namespace alone names it.
    return undefined;
  }
}

function listKinds(events: unknown): readonly string[] {
  return Array.isArray(events) ? events.flatMap((event) => readText(event, 'kind')) : [];
}

function readText(value: unknown, field: string): readonly string[] {
  if (typeof value !== 'object' || value === null) return [];
  const found: unknown = Reflect.get(value, field);
  return typeof found === 'string' ? [found] : [];
}
