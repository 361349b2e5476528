import wabtFactory from 'wabt';

const wabt = await wabtFactory();
const FEATURES = { simd: true, bulk_memory: true, multi_value: true, reference_types: true, sign_extension: true };

/** The binary form of WebAssembly text. */
export function assembleWat(text: string, features: Record<string, boolean> = {}): Uint8Array {
  const module = wabt.parseWat('test.wat', text, { ...FEATURES, ...features });
  try {
    return new Uint8Array(module.toBinary({}).buffer);
  } finally {
    module.destroy();
  }
}
