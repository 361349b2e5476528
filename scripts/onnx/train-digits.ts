/** Trains the network of examples/inference in plain TypeScript: 64 pixels, 32 hidden units, 10 classes. Always the same one. */

export const PIXELS = 64;
export const HIDDEN = 32;
export const CLASSES = 10;
/** Pixels are 0 to 16. */
export const PIXEL_RANGE = 16;

const ROUNDS = 40;
const RATE = 0.1;
const SEED = 7;

export interface DigitRow {
  readonly pixels: readonly number[];
  readonly label: number;
}

/** Weights with a row for each input, as ONNX's Gemm takes them. */
export interface DigitsNetwork {
  readonly firstWeights: Float64Array;
  readonly firstBiases: Float64Array;
  readonly secondWeights: Float64Array;
  readonly secondBiases: Float64Array;
}

/** Rows of examples/digits/data: 64 pixels, then the label. */
export function parseDigits(csv: string): readonly DigitRow[] {
  return csv
    .trimEnd()
    .split('\n')
    .map((line) => {
      const numbers = line.split(',').map(Number);
      return { pixels: numbers.slice(0, PIXELS), label: numbers[PIXELS] ?? 0 };
    });
}

/** Plain gradient descent, row by row, in the order of the file. */
export function trainDigits(rows: readonly DigitRow[]): DigitsNetwork {
  const random = createRandom(SEED);
  const draw = (count: number, scale: number): Float64Array =>
    Float64Array.from({ length: count }, () => (random() * 2 - 1) * scale);
  const network = {
    firstWeights: draw(PIXELS * HIDDEN, Math.sqrt(6 / (PIXELS + HIDDEN))),
    firstBiases: new Float64Array(HIDDEN),
    secondWeights: draw(HIDDEN * CLASSES, Math.sqrt(6 / (HIDDEN + CLASSES))),
    secondBiases: new Float64Array(CLASSES),
  };
  for (let round = 0; round < ROUNDS; round += 1) for (const row of rows) learn(network, row);
  return network;
}

function learn(network: DigitsNetwork, { pixels, label }: DigitRow): void {
  const { firstWeights, firstBiases, secondWeights, secondBiases } = network;
  const inputs = pixels.map((pixel) => pixel / PIXEL_RANGE);
  const hidden = applyLayer(inputs, firstWeights, firstBiases).map((value) => Math.max(0, value));
  const errors = softmax(applyLayer(hidden, secondWeights, secondBiases)).map((share, index) =>
    index === label ? share - 1 : share,
  );
  const hiddenErrors = hidden.map((value, unit) =>
    value > 0 ? errors.reduce((sum, error, index) => sum + error * (secondWeights[unit * CLASSES + index] ?? 0), 0) : 0,
  );
  step(secondWeights, secondBiases, { inputs: hidden, errors });
  step(firstWeights, firstBiases, { inputs, errors: hiddenErrors });
}

function step(
  weights: Float64Array,
  biases: Float64Array,
  { inputs, errors }: { readonly inputs: readonly number[]; readonly errors: readonly number[] },
): void {
  for (const [row, input] of inputs.entries()) {
    if (input === 0) continue;
    for (const [column, error] of errors.entries()) {
      const at = row * errors.length + column;
      weights[at] = (weights[at] ?? 0) - RATE * input * error;
    }
  }
  for (const [column, error] of errors.entries()) biases[column] = (biases[column] ?? 0) - RATE * error;
}

function applyLayer(inputs: readonly number[], weights: Float64Array, biases: Float64Array): number[] {
  const outputs = [...biases];
  for (const [row, input] of inputs.entries()) {
    if (input === 0) continue;
    for (let column = 0; column < biases.length; column += 1) {
      outputs[column] = (outputs[column] ?? 0) + input * (weights[row * biases.length + column] ?? 0);
    }
  }
  return outputs;
}

function softmax(scores: readonly number[]): number[] {
  const largest = Math.max(...scores);
  const powers = scores.map((score) => Math.exp(score - largest));
  const sum = powers.reduce((total, power) => total + power, 0);
  return powers.map((power) => power / sum);
}

/** Numerical Recipes' 32-bit generator: enough to break the symmetry of a network. */
function createRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}
