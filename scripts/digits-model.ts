/** Reads the output of examples/digits and tries it in plain TypeScript, apart from the module that made it. */
import { readFileSync } from 'node:fs';

interface HeldOut {
  readonly rows: number;
  readonly correct: number;
}

export interface DigitsModel {
  readonly layers: readonly [inputs: number, hidden: number, classes: number];
  readonly rounds: number;
  readonly loss: number;
  readonly heldOut: HeldOut;
  readonly parameters: Float64Array;
}

/** A line of JSON, then `parameters` little-endian 64-bit floats. @throws Error if it is anything else */
export function parseModel(bytes: Uint8Array): DigitsModel {
  const end = bytes.indexOf(0x0a);
  const head = JSON.parse(new TextDecoder().decode(bytes.subarray(0, end))) as {
    format: string;
    layers: [number, number, number];
    rounds: number;
    loss: number;
    heldOut: HeldOut;
    parameters: number;
  };
  const [inputs, hidden, classes] = head.layers;
  const expected = hidden * inputs + hidden + classes * hidden + classes;
  if (head.format !== 'fogproof-digits@1' || head.parameters !== expected || bytes.length !== end + 1 + 8 * expected) {
    throw new Error(`not a model of examples/digits: ${bytes.length} bytes, ${head.format}`);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset + end + 1);
  const parameters = Float64Array.from({ length: expected }, (_, index) => view.getFloat64(8 * index, true));
  return { layers: head.layers, rounds: head.rounds, loss: head.loss, heldOut: head.heldOut, parameters };
}

/** How many rows of a CSV file (64 pixels of 0..16, then the label) the model reads correctly. */
export function evaluateModel(model: DigitsModel, csv: Uint8Array): HeldOut {
  const rows = new TextDecoder()
    .decode(csv)
    .trimEnd()
    .split('\n')
    .map((line) => line.split(',').map(Number));
  const correct = rows.filter((row) => classify(model, row.slice(0, -1)) === row.at(-1)).length;
  return { rows: rows.length, correct };
}

function classify(model: DigitsModel, pixels: readonly number[]): number {
  const [inputs, hidden, classes] = model.layers;
  const scaled = pixels.map((pixel) => pixel / 16);
  const first = applyLayer(model.parameters.subarray(0, hidden * inputs + hidden), scaled, hidden);
  const activations = first.map((value) => Math.max(value, 0));
  const scores = applyLayer(model.parameters.subarray(hidden * inputs + hidden), activations, classes);
  return scores.indexOf(Math.max(...scores));
}

/** `parameters`: weights row by row, then biases. */
function applyLayer(parameters: Float64Array, values: readonly number[], units: number): number[] {
  const width = values.length;
  return Array.from({ length: units }, (_, unit) =>
    values.reduce(
      (sum, value, index) => sum + value * (parameters[unit * width + index] ?? 0),
      parameters[units * width + unit] ?? 0,
    ),
  );
}

if (import.meta.main) {
  const [modelPath, csvPath] = process.argv.slice(2);
  if (modelPath === undefined || csvPath === undefined) {
    console.error('Usage: scripts/node scripts/digits-model.ts MODEL_FILE CSV_FILE');
    process.exitCode = 2;
  } else {
    const { rows, correct } = evaluateModel(parseModel(readFileSync(modelPath)), readFileSync(csvPath));
    console.log(`${correct} of ${rows} rows read correctly (${((100 * correct) / rows).toFixed(1)} %)`);
  }
}
