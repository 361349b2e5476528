import { CLASSES, Dataset, PIXELS } from "./dataset";
import { random64, toUnit } from "../../../sdk/assemblyscript/fogproof";

const SIDE: i32 = 8;

/**
 * pixels -> hidden units (ReLU) -> classes (softmax), cross-entropy loss, minibatch gradient descent with momentum.
 * Everything is f64 in a fixed order of operations, so equal inputs and seed give equal bits.
 */
export class Network {
  readonly hidden: i32;
  /** Weights, then biases, layer by layer: hidden x 64, hidden, 10 x hidden, 10. */
  readonly parameters: StaticArray<f64>;
  private readonly gradient: StaticArray<f64>;
  private readonly velocity: StaticArray<f64>;
  private readonly activations: StaticArray<f64>;
  private readonly errors: StaticArray<f64>;
  private readonly outputs: StaticArray<f64>;
  private readonly picture: StaticArray<f64> = new StaticArray<f64>(PIXELS);

  constructor(hidden: i32) {
    this.hidden = hidden;
    const size = hidden * PIXELS + hidden + CLASSES * hidden + CLASSES;
    this.parameters = new StaticArray<f64>(size);
    this.gradient = new StaticArray<f64>(size);
    this.velocity = new StaticArray<f64>(size);
    this.activations = new StaticArray<f64>(hidden);
    this.errors = new StaticArray<f64>(hidden);
    this.outputs = new StaticArray<f64>(CLASSES);
  }

  /** He initialisation with uniform values; biases start at 0. */
  initialise(): void {
    this.fill(0, this.hidden * PIXELS, Math.sqrt(6.0 / <f64>PIXELS));
    this.fill(this.secondLayer(), CLASSES * this.hidden, Math.sqrt(6.0 / <f64>this.hidden));
  }

  private fill(from: i32, count: i32, bound: f64): void {
    for (let i = 0; i < count; i++) {
      const unit = toUnit(random64());
      this.parameters[from + i] = (2.0 * unit - 1.0) * bound;
    }
  }

  @inline private secondLayer(): i32 {
    return this.hidden * PIXELS + this.hidden;
  }

  /** Class probabilities of the picture at `start` into `outputs`; its loss. */
  private forward(pixels: StaticArray<f64>, start: i32, label: i32): f64 {
    const parameters = this.parameters;
    for (let unit = 0; unit < this.hidden; unit++) {
      const weights = unit * PIXELS;
      let sum = parameters[this.hidden * PIXELS + unit];
      for (let i = 0; i < PIXELS; i++) sum += unchecked(parameters[weights + i] * pixels[start + i]);
      this.activations[unit] = sum > 0.0 ? sum : 0.0;
    }
    const second = this.secondLayer();
    let highest = -Infinity;
    for (let k = 0; k < CLASSES; k++) {
      let sum = parameters[second + CLASSES * this.hidden + k];
      const weights = second + k * this.hidden;
      for (let unit = 0; unit < this.hidden; unit++) sum += unchecked(parameters[weights + unit] * this.activations[unit]);
      this.outputs[k] = sum;
      if (sum > highest) highest = sum;
    }
    let total = 0.0;
    for (let k = 0; k < CLASSES; k++) {
      this.outputs[k] = Math.exp(this.outputs[k] - highest);
      total += this.outputs[k];
    }
    for (let k = 0; k < CLASSES; k++) this.outputs[k] /= total;
    return -Math.log(Math.max(this.outputs[label], 1e-300));
  }

  /** Adds a picture's gradient; `forward` of the same picture went before. */
  private backward(pixels: StaticArray<f64>, start: i32, label: i32): void {
    const parameters = this.parameters;
    const gradient = this.gradient;
    const second = this.secondLayer();
    for (let unit = 0; unit < this.hidden; unit++) this.errors[unit] = 0.0;
    for (let k = 0; k < CLASSES; k++) {
      const error = this.outputs[k] - (label == k ? 1.0 : 0.0);
      const weights = second + k * this.hidden;
      gradient[second + CLASSES * this.hidden + k] += error;
      for (let unit = 0; unit < this.hidden; unit++) {
        unchecked((gradient[weights + unit] += error * this.activations[unit]));
        unchecked((this.errors[unit] += error * parameters[weights + unit]));
      }
    }
    for (let unit = 0; unit < this.hidden; unit++) {
      if (this.activations[unit] == 0.0) continue;
      const error = this.errors[unit];
      const weights = unit * PIXELS;
      gradient[this.hidden * PIXELS + unit] += error;
      for (let i = 0; i < PIXELS; i++) unchecked((gradient[weights + i] += error * pixels[start + i]));
    }
  }

  /**
   * The picture at `start` into `picture`, moved by -1, 0 or 1 pixel: people write at different places, and the held-out
   * rows are other people's. (The modulo's bias is below 2^-62.)
   */
  private shiftSideways(pixels: StaticArray<f64>, start: i32): void {
    const shift = <i32>(random64() % 3) - 1;
    for (let y = 0; y < SIDE; y++) {
      for (let x = 0; x < SIDE; x++) {
        const from = x - shift;
        this.picture[y * SIDE + x] = from < 0 || from >= SIDE ? 0.0 : pixels[start + y * SIDE + from];
      }
    }
  }

  /** One minibatch: rows order[from..to). The sum of their losses. */
  trainBatch(data: Dataset, order: StaticArray<i32>, from: i32, to: i32, learningRate: f64, momentum: f64): f64 {
    let loss = 0.0;
    for (let i = from; i < to; i++) {
      const label = <i32>data.labels[order[i]];
      this.shiftSideways(data.pixels, order[i] * PIXELS);
      loss += this.forward(this.picture, 0, label);
      this.backward(this.picture, 0, label);
    }
    const rate = learningRate / <f64>(to - from);
    for (let i = 0; i < this.parameters.length; i++) {
      const velocity = unchecked(momentum * this.velocity[i] - rate * this.gradient[i]);
      unchecked((this.velocity[i] = velocity));
      unchecked((this.parameters[i] += velocity));
      unchecked((this.gradient[i] = 0.0));
    }
    return loss;
  }

  /** How many rows get their highest probability at their label. */
  countCorrect(data: Dataset): i32 {
    let correct = 0;
    for (let row = 0; row < data.rows; row++) {
      this.forward(data.pixels, row * PIXELS, <i32>data.labels[row]);
      let best = 0;
      for (let k = 1; k < CLASSES; k++) if (this.outputs[k] > this.outputs[best]) best = k;
      if (best == <i32>data.labels[row]) correct++;
    }
    return correct;
  }
}
