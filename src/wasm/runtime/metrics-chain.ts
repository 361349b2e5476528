import { DIGEST_BYTES } from '../stepping/constants.ts';
import { hashInto } from '../stepping/digests.ts';
import { encodeMetric } from './encode-metric.ts';

/** m_0 = SHA-256 of no bytes; m_k = SHA-256(m_{k-1} ‖ metric_k) (docs/stepping.md section 3.4). */
export class MetricsChain {
  private current: Uint8Array | null = null;

  get head(): Uint8Array {
    this.current ??= computeHash(new Uint8Array(0));
    return this.current;
  }

  restore(head: Uint8Array): void {
    this.current = head.slice();
  }

  append(step: number, name: Uint8Array, value: number): void {
    const metric = encodeMetric(step, name, value);
    const message = new Uint8Array(DIGEST_BYTES + metric.length);
    message.set(this.head);
    message.set(metric, DIGEST_BYTES);
    this.current = computeHash(message);
  }
}

function computeHash(message: Uint8Array): Uint8Array {
  const digest = new Uint8Array(DIGEST_BYTES);
  hashInto(digest, 0, message);
  return digest;
}
