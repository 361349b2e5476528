/**
 * The program of a sandboxed child: runs one task after another until its parent closes the pipe. It imports nothing that
 * it does not need, and reads and writes its pipes synchronously.
 */
import { hash } from 'node:crypto';
import { InternalError } from '../../../../lib/errors.ts';
import { createFailure } from '../../../../wasm/runtime/program-halt.ts';
import { runProgram } from '../../../../wasm/runtime/run-program.ts';
import { COLLECT_ABOVE_BYTES } from '../../../constants.ts';
import { FieldReader } from '../../../protocol/fields.ts';
import { REQUEST, type RunRequest, readRun } from '../../../protocol/requests.ts';
import { AnswerOutput } from './answer-output.ts';
import { ProgramCache } from './program-cache.ts';
import { RequestInput } from './request-input.ts';

const DIGEST_BYTES = 32;

class TaskLoop {
  private readonly input = new RequestInput();
  private readonly output = new AnswerOutput();
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
      case REQUEST.drop:
        return this.cache.drop(toHex(reader.raw(DIGEST_BYTES)));
      case REQUEST.run:
        return this.runTask(readRun(reader));
      default:
        throw new InternalError('unknown request');
    }
  }

  private runTask(request: RunRequest): void {
    const inputs = request.inputs.map(({ path, sizeBytes }) => {
      const bytes = this.input.read(sizeBytes);
      if (bytes === null) throw new InternalError('the parent has gone');
      return { path, bytes };
    });
    this.output.beginTask();
    const cached = this.cache.get(toHex(request.digest), request.abi, request.maxPages);
    if (cached === null) throw new InternalError('the module was never sent');
    if (cached.kind === 'refused') {
      const { code, message } = cached.error;
      const failure = code === 'WASM_MEMORY_LIMIT' ? 'MEMORY_LIMIT' : 'MODULE_REFUSED';
      const outcome = createFailure(failure, `${code}: ${message}`);
      const nothing = { fuel: 0, steps: 0, metricsHash: this.noMetrics, memoryBytes: 0 };
      return this.finish({ ...nothing, outcome, moduleDigest: null });
    }
    const result = runProgram(cached.program, { ...request, inputs, checkpoints: null, resume: null }, this.output);
    this.output.outputs(result.outputs);
    this.finish({ ...result, moduleDigest: cached.digest });
    if (result.memoryBytes > COLLECT_ABOVE_BYTES) globalThis.gc?.();
  }

  private finish(result: Omit<ReturnType<typeof runProgram>, 'outputs'> & { moduleDigest: Uint8Array | null }): void {
    const { outcome } = result;
    this.output.result({
      ...result,
      kind: outcome.kind,
      code: outcome.kind === 'program-failed' ? outcome.code : '',
      detail: 'detail' in outcome ? outcome.detail : '',
      cpuMicros: this.output.cpuMicros,
    });
  }
}

function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex');
}

new TaskLoop().run();
