import { InternalError } from '../../../../lib/errors.ts';
import type { LogStream, ProgramSink } from '../../../../wasm/runtime/program-context.ts';
import type { CapturedState } from '../../../../wasm/stepping/interface.ts';
import { FieldReader } from '../../../protocol/fields.ts';
import { type OrderRequest, REQUEST, readOrder } from '../../../protocol/requests.ts';
import type { AnswerOutput } from './answer-output.ts';
import type { RequestInput } from './request-input.ts';

/** What a program gives goes to the parent; at a checkpoint the parent is asked how it goes on. */
export class TaskSink implements ProgramSink {
  private readonly input: RequestInput;
  private readonly output: AnswerOutput;

  constructor(input: RequestInput, output: AnswerOutput) {
    this.input = input;
    this.output = output;
  }

  // The parent counts logs and metrics itself, so their ordinals are not sent.
  log(stream: LogStream, text: Uint8Array): void {
    this.output.log(stream, text);
  }

  metric(step: number, name: Uint8Array, value: number): void {
    this.output.metric(step, name, value);
  }

  tick(read: () => { readonly fuel: number; readonly step: number }): void {
    this.output.tick(read);
  }

  readonly checkpoint = (captured: CapturedState): 'continue' | 'halt' => {
    this.output.checkpoint(captured);
    const order = this.readOrder();
    for (const place of order.wanted) this.output.piece(place, captured.readPiece(place));
    return order.next;
  };

  private readOrder(): OrderRequest {
    const frame = this.input.readFrame();
    if (frame === null) throw new InternalError('the parent has gone');
    const reader = new FieldReader(frame);
    if (reader.u8() !== REQUEST.order) throw new InternalError('a checkpoint was answered by something else');
    return readOrder(reader);
  }
}
