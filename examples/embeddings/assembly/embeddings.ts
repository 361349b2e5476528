/**
 * A larger model: word vectors learned by skip-gram with negative sampling (Mikolov and others, 2013) over a synthetic
 * language whose words fall into topics. The two tables of 131,072 words x 64 numbers of 32 bits are 64 MiB, with the rest
 * above 64 MiB of state, of which one step touches a small part: most pages stay as they were from checkpoint to checkpoint.
 * Input 0 (optional): `name = value` lines: words, steps, pairs. Output: a line of JSON, then the first 256 word
 * vectors as little-endian f32.
 */
import { DONE, fail, log, metric, MORE, readText, writeOutput, writeOutputText, Xoshiro } from "../../../sdk/assemblyscript/fogproof";

const WIDTH: i32 = 64;
const TOPICS: i32 = 64;
const NEGATIVES: i32 = 5;
const RATE: f32 = 0.25;
const CHAPTER: i32 = 1024;
const CHAPTERS: i32 = 8;
const SHOWN: i32 = 256;
const PROBES: i32 = 512;

let words: i32 = 131072;
let steps: i32 = 40;
let pairs: i32 = 20000;

let inner: StaticArray<f32> = new StaticArray<f32>(0);
let outer: StaticArray<f32> = new StaticArray<f32>(0);
let generator: Xoshiro | null = null;
const gradient = new StaticArray<f32>(WIDTH);
let step: i32 = 0;

/** Words of one topic stand 64 apart, so that it cannot be read off their place in memory. */
function topicOf(word: i32): i32 {
  return word % TOPICS;
}

function readSettings(): bool {
  const text = readText(0);
  if (text === null) return true;
  const lines = text.split("\n");
  for (let i = 0; i < lines.length; i++) {
    const line = lines[i].trim();
    if (line.length == 0) continue;
    const parts = line.split("=");
    if (parts.length != 2) return false;
    const name = parts[0].trim();
    const value = <i32>parseInt(parts[1].trim());
    if (name == "words") words = value;
    else if (name == "steps") steps = value;
    else if (name == "pairs") pairs = value;
    else return false;
  }
  return words >= CHAPTERS * CHAPTER && words <= 1 << 20 && words % (TOPICS * CHAPTERS) == 0 && steps >= 1 && pairs >= 1;
}

export function fogproof_init(): i32 {
  if (!readSettings()) return fail("input 0: expected lines of words (8,192 or more, a multiple of 512), steps and pairs");
  inner = new StaticArray<f32>(words * WIDTH);
  outer = new StaticArray<f32>(words * WIDTH);
  generator = new Xoshiro();
  for (let i = 0; i < words * WIDTH; i++) inner[i] = (<f32>generator!.unit() - 0.5) / <f32>WIDTH;
  log(`${words} words, ${(words * WIDTH * 8) >> 20} MiB of parameters`);
  return MORE;
}

function dot(word: i32, context: i32): f32 {
  let sum: f32 = 0.0;
  for (let i = 0; i < WIDTH; i++) sum += unchecked(inner[word * WIDTH + i]) * unchecked(outer[context * WIDTH + i]);
  return sum;
}

/** 1 / (1 + e^-x) within what training needs, from arithmetic that is the same everywhere. */
function squash(x: f32): f32 {
  return <f32>0.5 + (<f32>0.5 * x) / (<f32>1.0 + abs<f32>(x));
}

function learn(word: i32, context: i32, label: f32): f32 {
  const guess = squash(dot(word, context));
  const pull = RATE * (label - guess);
  for (let i = 0; i < WIDTH; i++) {
    const at = context * WIDTH + i;
    const from = word * WIDTH + i;
    unchecked((gradient[i] = unchecked(gradient[i]) + pull * unchecked(outer[at])));
    unchecked((outer[at] = unchecked(outer[at]) + pull * unchecked(inner[from])));
  }
  const error = label - guess;
  return error * error;
}

export function fogproof_step(): i32 {
  const random = generator!;
  let loss: f32 = 0.0;
  // Each step reads one chapter, a thousand words of the whole language, in turn.
  const chapter = (step % CHAPTERS) * (words / CHAPTERS);
  for (let pair = 0; pair < pairs; pair++) {
    const word = chapter + <i32>random.below(CHAPTER);
    const context = chapter + topicOf(word) + TOPICS * <i32>random.below(CHAPTER / TOPICS);
    for (let i = 0; i < WIDTH; i++) unchecked((gradient[i] = 0.0));
    loss += learn(word, context, 1.0);
    for (let other = 0; other < NEGATIVES; other++) loss += learn(word, chapter + <i32>random.below(CHAPTER), 0.0);
    for (let i = 0; i < WIDTH; i++) {
      const at = word * WIDTH + i;
      unchecked((inner[at] = unchecked(inner[at]) + unchecked(gradient[i])));
    }
  }
  step++;
  metric("loss", <f64>loss / <f64>(pairs * (NEGATIVES + 1)));
  return step < steps ? MORE : finish(random);
}

/** How often a word's vector is nearer to a word of its own topic than to any other, in the first chapter: by chance half. */
function finish(random: Xoshiro): i32 {
  let right = 0;
  for (let probe = 0; probe < PROBES; probe++) {
    const word = <i32>random.below(CHAPTER);
    const friend = topicOf(word) + TOPICS * <i32>random.below(CHAPTER / TOPICS);
    const stranger = <i32>random.below(CHAPTER);
    if (dot(word, friend) > dot(word, stranger)) right++;
  }
  metric("probes_right", <f64>right / <f64>PROBES);
  writeOutputText(`{"format":"fogproof-embeddings@1","words":${words},"width":${WIDTH},"steps":${step},"shown":${SHOWN}}\n`);
  writeOutput(changetype<usize>(inner), SHOWN * WIDTH * 4);
  return DONE;
}
