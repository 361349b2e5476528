import { encodeUtf8 } from '../../lib/bytes.ts';
import { deriveMacKey } from './derive-key.ts';

const METRICS_KEY = encodeUtf8('fogproof/metrics@1');

/**
 * HMAC-SHA-256(HKDF(content key, "fogproof/metrics@1"), metrics hash): a chain over few and guessable figures would tell
 * them; keyed, it still is the same for all replicas.
 */
export async function keyMetricsHash(contentKey: Uint8Array, metricsHash: Uint8Array): Promise<Uint8Array> {
  const key = await deriveMacKey(contentKey, METRICS_KEY);
  return new Uint8Array(await globalThis.crypto.subtle.sign('HMAC', key, new Uint8Array(metricsHash)));
}
