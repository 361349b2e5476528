import { hash } from 'node:crypto';
import { encodeMetric } from './encode-metric.ts';

const HASH_BYTES = 32;

/** m_0 = SHA-256 of no bytes; m_k = SHA-256(m_{k-1} ‖ metric_k) (docs/stepping.md section 3.4). */
export class MetricsChain {
  private current: Uint8Array | null = null;

  get head(): Uint8Array {
    this.current ??= hash('sha256', new Uint8Array(0), 'buffer');
    return this.current;
  }

  restore(head: Uint8Array): void {
    this.current = head.slice();
  }

  append(step: number, name: Uint8Array, value: number): void {
    const metric = encodeMetric(step, name, value);
    const message = new Uint8Array(HASH_BYTES + metric.length);
    message.set(this.head);
    message.set(metric, HASH_BYTES);
    this.current = hash('sha256', message, 'buffer');
  }
}
