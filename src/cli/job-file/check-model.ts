import { readFile } from 'node:fs/promises';
import { inspectModel } from '../../sandbox/executors/inference/inspect-model.ts';
import { describeMissing, type Reason } from './check-module.ts';

/** Why a provider would refuse a model before it loads it; undefined if it would not. What runs it decides the rest. */
export async function checkModel(path: string): Promise<Reason | undefined> {
  try {
    const reason = inspectModel(await readFile(path));
    if (reason === null) return undefined;
    return {
      message: `${path}: ${reason}`,
      hint: 'Export the model to one .onnx file; docs/inference.md says what is taken.',
    };
  } catch (error) {
    return describeMissing(path, error);
  }
}
