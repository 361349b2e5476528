/*
 * A training program that is no stepping module: an ordinary WASI command with a main loop. It learns the weights of a linear
 * model by stochastic gradient descent with momentum on samples that it draws from the job's seed; one round is one pass over them.
 *
 * After each round it writes its weights to /checkpoint/weights.f32, then the number of the round to /checkpoint/ROUND, and
 * it begins with what it finds there. That is all that it takes to be paused, moved and replayed (docs/stepping.md section 7).
 *
 * Weights are f64 while it runs and f32 in its files, and the momentum is in no file: as with many trainers, a run that was
 * resumed gives slightly other weights. The job says how much that may be (`comparisons` in job.yaml).
 *
 * Input /settings.txt (optional): number of rounds, number of samples. Output: /output/weights.f32.
 */
#include "wasi.h"

enum { WIDTH = 16, MOST_SAMPLES = 65536, MOST_ROUNDS = 1000000 };

static const double RATE = 0.0001, MOMENTUM = 0.9;

static int32_t rounds = 40, samples = 4096;
static double weights[WIDTH], velocity[WIDTH];
static double inputs[MOST_SAMPLES][WIDTH], targets[MOST_SAMPLES];
static float saved[WIDTH];

static const char *read_number(const char *text, const char *end, int32_t *value) {
  while (text < end && (*text == ' ' || *text == '\n')) text++;
  const char *start = text;
  int32_t number = 0;
  for (; text < end && *text >= '0' && *text <= '9' && text - start < 9; text++) number = number * 10 + (*text - '0');
  *value = number;
  return text == start ? NULL : text;
}

static void read_settings(void) {
  static char text[64];
  const int32_t length = wasi_read_file("settings.txt", text, sizeof text);
  if (length < 0) return;
  const char *at = read_number(text, text + length, &rounds);
  if (at != NULL) at = read_number(at, text + length, &samples);
  if (at == NULL || rounds < 1 || rounds > MOST_ROUNDS || samples < 1 || samples > MOST_SAMPLES)
    wasi_fail("/settings.txt: expected rounds (1 to 1000000) and samples (1 to 65536)");
}

/* xorshift64* (Vigna 2016): the same samples for the same seed, also when the program is started again. */
static uint64_t state;

static double draw(void) {
  state ^= state >> 12;
  state ^= state << 25;
  state ^= state >> 27;
  return (double)(int64_t)(state * 0x2545f4914f6cdd1dull) * 0x1p-63;
}

/* A noisy plane through weights that it does not tell: (i + 1) / WIDTH with every second one negative. */
static void draw_samples(void) {
  wasi_random_get(&state, sizeof state);
  state |= 1;
  for (int32_t sample = 0; sample < samples; sample++) {
    double sum = 0.1 * draw();
    for (int32_t i = 0; i < WIDTH; i++) {
      inputs[sample][i] = draw();
      sum += inputs[sample][i] * (i % 2 == 0 ? i + 1 : -i - 1) / WIDTH;
    }
    targets[sample] = sum;
  }
}

/* One pass; the mean squared error on the way. */
static double train(void) {
  double loss = 0.0;
  for (int32_t sample = 0; sample < samples; sample++) {
    double error = -targets[sample];
    for (int32_t i = 0; i < WIDTH; i++) error += weights[i] * inputs[sample][i];
    for (int32_t i = 0; i < WIDTH; i++) {
      velocity[i] = MOMENTUM * velocity[i] - RATE * error * inputs[sample][i];
      weights[i] += velocity[i];
    }
    loss += error * error;
  }
  return loss / samples;
}

static char line[96];
static uint32_t length;

static void put(const char *text) {
  while (*text != 0) line[length++] = *text++;
}

static void put_digits(uint64_t value, int least) {
  char digits[24];
  int count = 0;
  for (; count < least || value > 0; value /= 10) digits[count++] = (char)('0' + value % 10);
  while (count > 0) line[length++] = digits[--count];
}

/* Nine decimals, rounded down. */
static void put_fraction(double value) {
  const uint64_t billionths = (uint64_t)(value * 1e9);
  put_digits(billionths / 1000000000, 1);
  put(".");
  put_digits(billionths % 1000000000, 9);
}

static void save_weights(const char *path) {
  for (int32_t i = 0; i < WIDTH; i++) saved[i] = (float)weights[i];
  wasi_write_file(path, saved, sizeof saved);
}

static void save_checkpoint(int32_t round) {
  save_weights("checkpoint/weights.f32");
  length = 0;
  put_digits((uint64_t)round, 1);
  /* Last of all: closing this file is the report. */
  wasi_write_file("checkpoint/ROUND", line, length);
}

/* The round that was saved last; 0 if there is none. */
static int32_t load_checkpoint(void) {
  int32_t round;
  const int32_t read = wasi_read_file("checkpoint/ROUND", line, sizeof line);
  if (read < 0 || read_number(line, line + read, &round) == NULL) return 0;
  if (wasi_read_file("checkpoint/weights.f32", saved, sizeof saved) != sizeof saved) wasi_fail("the weights are cut off");
  for (int32_t i = 0; i < WIDTH; i++) weights[i] = saved[i];
  return round;
}

static void say(int32_t round, double loss) {
  length = 0;
  put("round ");
  put_digits((uint64_t)round, 1);
  put(" loss ");
  put_fraction(loss);
  put("\n");
  wasi_print(WASI_STDOUT, line, length);
}

__attribute__((export_name("_start"))) void start(void) {
  read_settings();
  draw_samples();
  for (int32_t round = load_checkpoint() + 1; round <= rounds; round++) {
    const double loss = train();
    if (round % 10 == 0 || round == rounds) say(round, loss);
    save_checkpoint(round);
  }
  save_weights("output/weights.f32");
}
