/**
 * A training job: learns to read handwritten digits. Inputs, in the order of the job file: settings, held-out rows,
 * training rows. One step is one training round. Output: a line of JSON, then the parameters as little-endian f64.
 */
import {
  DONE,
  fail,
  inputCount,
  log,
  metric,
  MORE,
  random64,
  readInput,
  writeOutput,
  writeOutputText,
} from "../../../sdk/assemblyscript/fogproof";
import { CLASSES, Dataset, parseDataset, PIXELS } from "./dataset";
import { Network } from "./network";
import { parseSettings, Settings } from "./settings";

let settings: Settings | null = null;
let held: Dataset | null = null;
let training: Dataset | null = null;
let network: Network | null = null;
let order: StaticArray<i32> | null = null;
let round: i32 = 0;

export function fogproof_init(): i32 {
  if (inputCount() != 3) return fail("expected three inputs: settings, held-out rows, training rows");
  const settingsBytes = readInput(0);
  const heldBytes = readInput(1);
  const trainingBytes = readInput(2);
  if (settingsBytes === null || heldBytes === null || trainingBytes === null) return fail("an input cannot be read");
  settings = parseSettings(settingsBytes);
  if (settings === null) return fail("input 0: malformed settings");
  held = parseDataset(heldBytes);
  if (held === null) return fail("input 1: expected lines of 64 pixels of 0..16 and a label of 0..9");
  training = parseDataset(trainingBytes);
  if (training === null) return fail("input 2: expected lines of 64 pixels of 0..16 and a label of 0..9");
  network = new Network(settings!.hidden);
  network!.initialise();
  const rows = training!.rows;
  order = new StaticArray<i32>(rows);
  for (let i = 0; i < rows; i++) order![i] = i;
  log(`${rows} rows to learn from, ${held!.rows} held out, ${network!.parameters.length} parameters`);
  return MORE;
}

export function fogproof_step(): i32 {
  const data = training!;
  const rows = data.rows;
  const batch = settings!.batch;
  shuffle(order!);
  let loss = 0.0;
  for (let from = 0; from < rows; from += batch) {
    const to = min(from + batch, rows);
    loss += network!.trainBatch(data, order!, from, to, settings!.learningRate, settings!.momentum);
  }
  round++;
  metric("loss", loss / <f64>rows);
  metric("accuracy", <f64>network!.countCorrect(data) / <f64>rows);
  if (round < settings!.rounds) return MORE;
  return finish(loss / <f64>rows);
}

function finish(loss: f64): i32 {
  const rows = held!.rows;
  const correct = network!.countCorrect(held!);
  metric("held_out_accuracy", <f64>correct / <f64>rows);
  log(`${correct} of ${rows} held-out rows read correctly after ${round} rounds`);
  const parameters = network!.parameters;
  writeOutputText(
    `{"format":"fogproof-digits@1","layers":[${PIXELS},${network!.hidden},${CLASSES}],"rounds":${round},"loss":${loss},` +
      `"heldOut":{"rows":${rows},"correct":${correct}},"parameters":${parameters.length},"encoding":"f64le"}\n`,
  );
  writeOutput(changetype<usize>(parameters), parameters.length << 3);
  return DONE;
}

/** Fisher-Yates, drawn from the job's seed. The modulo's bias (below 2^-50) does not matter here. */
function shuffle(values: StaticArray<i32>): void {
  for (let i = values.length - 1; i > 0; i--) {
    const j = <i32>(random64() % <u64>(i + 1));
    const kept = values[i];
    values[i] = values[j];
    values[j] = kept;
  }
}
