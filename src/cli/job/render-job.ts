import type { PROGRAM_FAILURES } from '../../domain/receipt.ts';
import { REFUSALS } from '../../domain/refusal.ts';
import { formatDuration, formatSize } from '../../lib/quantity.ts';
import type { AttemptView, JobExplanation, JobResultView, JobView } from '../../scheduler/interface.ts';
import { EXIT_CODES, type ExitCode } from '../exit-codes.ts';
import {
  formatCount,
  formatDateTime,
  formatTime,
  formatWhen,
  plural,
  renderFields,
  shortId,
  shortPeer,
} from '../format.ts';
import type { CliOutput } from '../interface.ts';
import { nameKind } from '../job-file/name-kind.ts';

/** What to do where the program's own words are missing. */
const FAILURE_MEANINGS: Readonly<Record<string, string>> = {
  TRAP: 'the program trapped',
  EXIT_CODE: 'the program ended with an exit code other than 0',
  OUT_OF_FUEL: 'it needs more than resources.fuel allows',
  STACK_EXHAUSTED: 'it recursed too deeply',
  MEMORY_LIMIT: 'it needs more than resources.memory allows',
  OUTPUT_LIMIT: 'it wrote more than resources.output allows',
  LOG_LIMIT: 'it printed more than resources.logs allows',
  STEP_FAILED: 'a step of the program said that it failed',
  MODULE_REFUSED: 'the module uses what is not allowed here',
  PROGRAM_REFUSED: 'its root file system or its program cannot be run',
  OUTPUT_REFUSED: 'what it left in /output are not all regular files',
  PROCESS_LIMIT: 'it needs more processes than workload.limits.processes allows',
  SCRATCH_LIMIT: 'it wrote more to /tmp than workload.limits.scratch allows',
  CPU_LIMIT: 'it used more processor time than workload.limits.cpus allows',
  MODEL_REFUSED: 'the model uses what is not allowed here, or ONNX Runtime cannot load it',
  INPUT_REFUSED: 'an input is no array that the model takes',
  INFERENCE_FAILED: 'the model failed on an item',
} satisfies Record<(typeof PROGRAM_FAILURES)[number], string>;

type Table = Pick<CliOutput, 'table'>;

/** 0 if the program completed, 1 if the job ended in any other way. */
export function exitCodeOf(view: JobView): ExitCode {
  return view.result?.outcome.kind === 'completed' && view.state === 'completed' ? EXIT_CODES.ok : EXIT_CODES.failed;
}

export function renderJob(
  view: JobView,
  { output, nowMs }: { readonly output: Table; readonly nowMs: number },
): string[] {
  const { attempts, result } = view;
  const lines = renderFields([
    ['job', view.job],
    ['name', view.name],
    ['state', renderState(view)],
    ['next', suggestNext(view)],
    ['created', formatDateTime(view.createdAtMs)],
    ['ended', renderEnd(view, nowMs)],
    ['replicas', `${view.replicas}, ${plural(view.quorum, 'equal result')} needed`],
    ['result', result === null ? undefined : renderOutcome(result)],
    ['items', result?.inference === undefined ? undefined : renderItems(result.inference)],
    ['agreement', result === null ? undefined : renderAgreement(result)],
    ['output root', result?.outputRoot],
    ['failure', view.failure === null ? undefined : joinDetail(view.failure.code, view.failure.message)],
  ]);
  if (attempts.length > 0) lines.push('', ...renderAttempts(view, output));
  lines.push(...renderEvidence(view, output));
  if (result !== null && result.outputs.length > 0) lines.push('', ...renderOutputs(result, output));
  return lines;
}

export function renderState({ state, desired }: Pick<JobView, 'state' | 'desired'>): string {
  if (['completed', 'failed', 'cancelled', 'expired'].includes(state)) return state;
  if (desired === 'cancel') return `${state}, to be cancelled`;
  return desired === 'pause' && state !== 'paused' ? `${state}, to be paused` : state;
}

/** Of a job that was paused: nothing goes on by itself. */
function suggestNext({ job, state, desired }: JobView): string | undefined {
  if (state === 'paused') return `go on with \`fogproof job resume ${shortId(job)}\`, before its deadline`;
  return desired === 'pause' && state === 'running' ? 'its attempts stop at their next checkpoint' : undefined;
}

function renderEnd({ endedAtMs, createdAtMs, deadlineMs }: JobView, nowMs: number): string {
  if (endedAtMs === null) return `not yet; deadline ${formatWhen(deadlineMs, nowMs)}`;
  return `${formatDateTime(endedAtMs)}, after ${formatDuration(endedAtMs - createdAtMs)}`;
}

export function renderOutcome({ outcome, fuel, steps }: JobResultView): string {
  const work = fuel === null ? undefined : `${formatCount(fuel)} units of fuel, ${plural(steps, 'step')}`;
  if (outcome.kind === 'completed') return work === undefined ? 'completed' : `completed, ${work}`;
  const { code, detail } = outcome;
  const failure = joinDetail(code, detail === '' ? (FAILURE_MEANINGS[code] ?? '') : detail);
  return work === undefined ? failure : `${failure} (${work})`;
}

/** What was not computed for this job stands out. */
function renderItems({ items, cachedItems, calls, largestBatchRows }: NonNullable<JobResultView['inference']>): string {
  const run =
    calls === 0
      ? []
      : [`${items - cachedItems} run in ${plural(calls, 'call')} of at most ${plural(largestBatchRows, 'row')}`];
  const cached = cachedItems === 0 ? [] : [`${cachedItems} NOT RUN but given from the provider's cache`];
  return `${items}: ${[...run, ...cached].join(', ')}`;
}

function joinDetail(code: string, detail: string): string {
  return detail === '' ? code : `${code}: ${detail}`;
}

export function renderAgreement({ agreeing, dissenting, withinTolerance }: JobResultView): string {
  if (agreeing.length + dissenting.length === 1) return 'one provider says so: nobody to agree with';
  const total = agreeing.length + dissenting.length;
  const how = withinTolerance === undefined ? 'are byte-identical' : renderTolerance(withinTolerance.largest);
  return `${agreeing.length} of ${total} results ${how}${dissenting.length === 0 ? '' : `, ${dissenting.length} differ`}`;
}

function renderTolerance(largest: NonNullable<JobResultView['withinTolerance']>['largest']): string {
  if (largest === null) return 'have the same files (fuel, steps or metrics differ)';
  const { path, index, a, b, share } = largest;
  const part = `${(Number(share) * 100).toPrecision(3)} % of what is tolerated`;
  return `are within tolerance (the largest difference: ${a} and ${b} at element ${index} of ${path}, ${part})`;
}

/** What they have done is still told; of ended ones the result says it. */
const RUNNING: readonly AttemptView['state'][] = ['leased', 'queued', 'running', 'unreachable'];

function renderAttempts({ attempts }: JobView, output: Table): string[] {
  const tries = new Map(attempts.map(({ lease, attempt }) => [lease, attempt + 1]));
  const rows = attempts.map(
    ({ replica, attempt, provider, state, progress: last, checkpoint, resumedFrom, reason, ...rest }) => {
      // The last sign of progress of what has ended is behind its end.
      const progress = RUNNING.includes(state) ? last : null;
      return [
        String(replica),
        String(attempt + 1),
        shortPeer(provider),
        state,
        progress === null || progress.fuel === null ? '-' : formatCount(progress.fuel),
        progress === null ? '-' : String(progress.step),
        progress === null ? '-' : formatDuration(Math.round(progress.cpuTimeMs)),
        checkpoint === undefined ? '-' : renderCheckpoint(checkpoint),
        [renderOrigin(resumedFrom, tries), reason ?? '', renderPromise(state, rest), renderShown(rest)]
          .filter((part) => part !== '')
          .join('; '),
      ];
    },
  );
  const head = ['REPLICA', 'TRY', 'PROVIDER', 'STATE', 'FUEL', 'STEP', 'CPU', 'CHECKPOINT', 'NOTE'];
  return output.table(head, rows);
}

/** Of one that runs: how long its requester may be away afterwards. */
function renderPromise(
  state: AttemptView['state'],
  { resultsKeptForMs }: Pick<AttemptView, 'resultsKeptForMs'>,
): string {
  if (resultsKeptForMs === undefined || !RUNNING.includes(state)) return '';
  return `keeps its result for ${formatDuration(resultsKeptForMs)}`;
}

function renderShown({ evidence }: Pick<AttemptView, 'evidence'>): string {
  return evidence === undefined ? '' : `evidence of ${nameKind(evidence.kind)}`;
}

/** What the attempts of a confidential job have shown. */
function renderEvidence({ attempts }: JobView, output: Table): string[] {
  const rows = attempts.flatMap(({ replica, attempt, provider, evidence }) => {
    if (evidence === undefined) return [];
    const { kind, gpus, measurement, judgedAtMs, blob } = evidence;
    const what = `${nameKind(kind)}${gpus ? ' and GPUs' : ''}`;
    return [
      [String(replica), String(attempt + 1), shortPeer(provider), what, measurement, formatTime(judgedAtMs), blob],
    ];
  });
  if (rows.length === 0) return [];
  const isSimulated = attempts.some(({ evidence }) => evidence?.kind === 'simulated');
  return [
    '',
    ...output.table(['REPLICA', 'TRY', 'PROVIDER', 'EVIDENCE', 'MEASUREMENT', 'VALID AT', 'BLOB'], rows),
    ...(isSimulated ? ['SIMULATED evidence shows nothing of any hardware: it is for tests'] : []),
  ];
}

function renderCheckpoint({ step, heldStep }: NonNullable<AttemptView['checkpoint']>): string {
  if (heldStep === null) return `${step}, not held`;
  return heldStep === step ? `${step}, held` : `${step}, ${heldStep} held`;
}

function renderOrigin(resumedFrom: AttemptView['resumedFrom'], tries: ReadonlyMap<string, number>): string {
  if (resumedFrom === undefined) return '';
  const origin = tries.get(resumedFrom.lease);
  return `went on from step ${resumedFrom.step}${origin === undefined ? '' : ` of try ${origin}`}`;
}

export function renderOutputs({ outputs }: JobResultView, output: Table): string[] {
  return output.table(
    ['OUTPUT', 'SIZE', 'BLOB'],
    outputs.map(({ path, sizeBytes, blob }) => [path, formatSize(sizeBytes), blob]),
  );
}

export function renderExplanation(
  { summary, asked, hints }: JobExplanation,
  { output, attempts }: { readonly output: Table; readonly attempts: number },
): string[] {
  const rows = asked.map(({ provider, atMs, answer }) => {
    switch (answer.kind) {
      case 'offered':
        return [shortPeer(provider), formatTime(atMs), 'offered', ''];
      case 'refused':
        return [
          shortPeer(provider),
          formatTime(atMs),
          answer.refusal.code,
          `${REFUSALS[answer.refusal.code]}${answer.refusal.detail === '' ? '' : ` (${answer.refusal.detail})`}`,
        ];
      case 'unreachable':
        return [shortPeer(provider), formatTime(atMs), 'unreachable', answer.reason];
      default:
        return answer satisfies never;
    }
  });
  // The answers are in memory until a job ends.
  const nobody = attempts === 0 ? 'nobody was asked' : 'who was asked is not known: this node was started again since';
  const table = rows.length === 0 ? [nobody] : output.table(['ASKED', 'AT', 'ANSWER', 'WHY'], rows);
  return [summary, '', ...table, ...(hints.length === 0 ? [] : ['', ...hints.map((hint) => `→ ${hint}`)])];
}
