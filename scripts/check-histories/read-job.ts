import type { CommitmentSet } from '../../src/domain/commitment.ts';
import type { JobId, LeaseId } from '../../src/domain/ids.ts';
import { JOB, type Job } from '../../src/domain/job.ts';
import type { Signed, SignedWire } from '../../src/domain/signed.ts';
import { openSigned } from '../../src/proofs/signed-object.ts';
import { isRejection, REJECTIONS, transition } from '../../src/scheduler/job-machine.ts';
import type { JobMachineEvent } from '../../src/scheduler/job-machine-events.ts';
import { createInitialState, createJobFacts, type JobMachineState } from '../../src/scheduler/job-machine-state.ts';
import {
  ATTEMPT_OBJECTS,
  type AttemptObjectKind,
  decodeCommitmentSet,
  decodeEndRecord,
  decodeHistoryEntry,
  decodeJobRecord,
  decodeSignedWire,
  type EndRecord,
  type JobRecord,
} from '../../src/scheduler/job-records.ts';
import { attempt, type OpenedNode, readBytes, readRange, under } from './open-node.ts';

export type AttemptWires = ReadonlyMap<AttemptObjectKind, SignedWire>;

/** What a requester has on disk of one job; what does not parse is left out, and was reported where it was read. */
export interface JobHistory {
  readonly node: OpenedNode;
  readonly id: JobId;
  readonly record: JobRecord | undefined;
  /** Undefined where its signature does not hold. */
  readonly job: Signed<Job> | undefined;
  readonly jobProblem: string | null;
  readonly events: readonly JobMachineEvent[];
  /** Key of the first entry that does not follow on the one before; null if all do. */
  readonly gapAt: string | null;
  readonly end: EndRecord | undefined;
  readonly objects: ReadonlyMap<LeaseId, AttemptWires>;
  readonly set: CommitmentSet | undefined;
  readonly replayed: Replayed | undefined;
}

export interface Replayed {
  /** After the last event that is legal. */
  readonly state: JobMachineState;
  readonly problem: string | null;
}

const SEQUENCE_DIGITS = 10;

/** Every job of which there is anything. */
export async function listJobs(node: OpenedNode): Promise<readonly JobId[]> {
  const found = new Set<JobId>();
  for (const namespace of ['jobs', 'job-history', 'job-objects', 'job-checkpoints'] as const) {
    for await (const [key] of readRange(node.database, namespace, {})) found.add(key.split('/', 1)[0] as JobId);
  }
  return [...found];
}

export async function readJob(node: OpenedNode, id: JobId): Promise<JobHistory> {
  const { database } = node;
  const recordBytes = await readBytes(database, 'jobs', id);
  const endBytes = await readBytes(database, 'jobs', `${id}/end`);
  const record = recordBytes && attempt(() => decodeJobRecord(`jobs/${id}`, recordBytes));
  const end = endBytes && attempt(() => decodeEndRecord(`jobs/${id}/end`, endBytes));
  const { job, problem } = await openJob(record);
  const { events, gapAt } = await readEvents(node, id);
  const { objects, set } = await readObjects(node, id);
  const replayed = job === undefined ? undefined : replay(createInitialState(createJobFacts(id, job.value)), events);
  return { node, id, record, job, jobProblem: problem, events, gapAt, end, objects, set, replayed };
}

async function openJob(
  record: JobRecord | undefined,
): Promise<{ readonly job: Signed<Job> | undefined; readonly problem: string | null }> {
  if (record === undefined) return { job: undefined, problem: 'there is no readable job to its history' };
  try {
    return { job: await openSigned(JOB, record.job), problem: null };
  } catch (error) {
    return { job: undefined, problem: `its signature does not hold: ${error instanceof Error ? error.message : ''}` };
  }
}

async function readEvents(node: OpenedNode, id: JobId): Promise<Pick<JobHistory, 'events' | 'gapAt'>> {
  const events: JobMachineEvent[] = [];
  let gapAt: string | null = null;
  for await (const [key, bytes] of readRange(node.database, 'job-history', under(id))) {
    const expected = `${id}/${String(events.length).padStart(SEQUENCE_DIGITS, '0')}`;
    const found = attempt(() => decodeHistoryEntry(key, bytes));
    if (key !== expected || found === undefined) gapAt ??= key;
    events.push(...(found ?? []));
  }
  return { events, gapAt };
}

async function readObjects(node: OpenedNode, id: JobId): Promise<Pick<JobHistory, 'objects' | 'set'>> {
  const objects = new Map<LeaseId, Map<AttemptObjectKind, SignedWire>>();
  let set: CommitmentSet | undefined;
  for await (const [key, bytes] of readRange(node.database, 'job-objects', under(id))) {
    const [, second = '', kindText] = key.split('/');
    if (kindText === undefined) {
      set = attempt(() => decodeCommitmentSet(key, bytes));
      continue;
    }
    const kind = ATTEMPT_OBJECTS.find((known) => known === kindText);
    const wire = attempt(() => decodeSignedWire(key, bytes));
    if (kind === undefined || wire === undefined) continue;
    const lease = second as LeaseId;
    objects.set(lease, (objects.get(lease) ?? new Map<AttemptObjectKind, SignedWire>()).set(kind, wire));
  }
  return { objects, set };
}

function replay(initial: JobMachineState, events: readonly JobMachineEvent[]): Replayed {
  let state = initial;
  for (const [index, event] of events.entries()) {
    const next = transition(state, event);
    if (isRejection(next)) {
      const problem = `event ${index} (${event.kind}) cannot be: ${REJECTIONS[next.code]}`;
      return { state, problem };
    }
    state = next;
  }
  return { state, problem: null };
}
