/**
 * The program of a sandboxed child: runs one task after another until its parent closes the pipe. It imports nothing that
 * it does not need, and reads and writes its pipes synchronously.
 */
import { hash } from 'node:crypto';
import { InternalError } from '../../../../lib/errors.ts';
import { WasmError } from '../../../../wasm/errors.ts';
import type { ProgramFile } from '../../../../wasm/runtime/program-context.ts';
import { runProgram } from '../../../../wasm/runtime/run-program.ts';
import { COLLECT_ABOVE_BYTES } from '../../../constants.ts';
import type { ResultAnswer } from '../../../protocol/answers.ts';
import { FieldReader } from '../../../protocol/fields.ts';
import { encodeContent } from '../../../protocol/instrumented-content.ts';
import { INSTRUMENTED_PATH, REQUEST, type RunRequest, readRun } from '../../../protocol/requests.ts';
import { AnswerOutput } from './answer-output.ts';
import { PieceSource } from './piece-source.ts';
import { ProgramCache } from './program-cache.ts';
import { RequestInput } from './request-input.ts';
import { TaskSink } from './task-sink.ts';

const DIGEST_BYTES = 32;
/** Longest detail of an outcome in characters (domain/receipt.ts). */
const MAX_DETAIL = 300;

interface TaskEnd {
  readonly outputs: readonly ProgramFile[];
  readonly result: Omit<ResultAnswer, 'cpuMicros'>;
}

class TaskLoop {
  private readonly input = new RequestInput();
  private readonly output = new AnswerOutput();
  private readonly sink = new TaskSink(this.input, this.output);
  private readonly cache = new ProgramCache();
  private readonly noMetrics = hash('sha256', '', 'buffer');

  run(): void {
    this.output.ready();
    for (let frame = this.input.readFrame(); frame !== null; frame = this.input.readFrame()) this.handle(frame);
  }

  private handle(frame: Uint8Array): void {
    const reader = new FieldReader(frame);
    switch (reader.u8()) {
      case REQUEST.module: {
        const digest = toHex(reader.raw(DIGEST_BYTES));
        return this.cache.add(digest, reader.rest());
      }
      case REQUEST.instrumented: {
        const digest = toHex(reader.raw(DIGEST_BYTES));
        return this.cache.addInstrumented(digest, reader.rest());
      }
      case REQUEST.instrument:
        return this.giveInstrumented(readRun(reader));
      case REQUEST.drop:
        return this.cache.drop(toHex(reader.raw(DIGEST_BYTES)));
      case REQUEST.run:
        return this.runTask(readRun(reader));
      default:
        throw new InternalError('unknown request');
    }
  }

  private runTask(request: RunRequest): void {
    const inputs = request.inputs.map(({ path, sizeBytes }) => ({ path, bytes: this.input.read(sizeBytes) }));
    this.output.beginTask();
    const pieces = request.resume === null ? null : new PieceSource(this.input, request.resume.pieceSizes);
    const end = this.runProgram(request, inputs, pieces);
    pieces?.drain();
    this.output.outputs(end.outputs);
    this.output.result({ ...end.result, cpuMicros: this.output.cpuMicros });
    if (end.result.memoryBytes > COLLECT_ABOVE_BYTES) globalThis.gc?.();
  }

  /** Nothing of the module runs. */
  private giveInstrumented(request: RunRequest): void {
    this.output.beginTask();
    const end = this.instrument(request);
    this.output.outputs(end.outputs);
    this.output.result({ ...end.result, cpuMicros: this.output.cpuMicros });
  }

  private instrument(request: RunRequest): TaskEnd {
    try {
      const module = this.cache.instrument(toHex(request.digest), request);
      if (module === null) throw new InternalError('the module was never sent');
      const end = this.endEarly('completed', '', '');
      const moduleDigest = hash('sha256', module.bytes, 'buffer');
      return {
        outputs: [{ path: INSTRUMENTED_PATH, bytes: encodeContent(module) }],
        result: { ...end.result, moduleDigest },
      };
    } catch (error) {
      if (!(error instanceof WasmError)) throw error;
      return this.endEarly('program-failed', 'MODULE_REFUSED', error.message.slice(0, MAX_DETAIL));
    }
  }

  private runProgram(request: RunRequest, inputs: readonly ProgramFile[], pieces: PieceSource | null): TaskEnd {
    const cached = this.cache.get(toHex(request.digest), request.abi, request.maxPages);
    if (cached === null) throw new InternalError('the module was never sent');
    if (cached.kind === 'refused') {
      const { code, message } = cached.error;
      const failure = code === 'WASM_MEMORY_LIMIT' ? 'MEMORY_LIMIT' : 'MODULE_REFUSED';
      return this.endEarly('program-failed', failure, `${code}: ${message}`.slice(0, MAX_DETAIL));
    }
    const resume = request.resume === null || pieces === null ? null : { ...request.resume, pieces };
    try {
      const { outputs, ...result } = runProgram(cached.program, { ...request, inputs, resume }, this.sink);
      const { outcome } = result;
      const code = outcome.kind === 'program-failed' ? outcome.code : '';
      const detail = 'detail' in outcome ? outcome.detail : '';
      return { outputs, result: { ...result, kind: outcome.kind, code, detail, moduleDigest: cached.digest } };
    } catch (error) {
      if (!(error instanceof WasmError)) throw error;
      return this.endEarly('resume-refused', '', error.message);
    }
  }

  private endEarly(kind: ResultAnswer['kind'], code: string, detail: string): TaskEnd {
    const nothing = { fuel: 0, steps: 0, metricsHash: this.noMetrics, memoryBytes: 0, moduleDigest: null };
    return { outputs: [], result: { ...nothing, kind, code, detail } };
  }
}

function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex');
}

new TaskLoop().run();
