/*
 * Softmax regression on handwritten digits by stochastic gradient descent with momentum: an ordinary program with ordinary files.
 *   softmax ROWS.csv OUTPUT_FOLDER ROUNDS PASSES
 * A row is 64 numbers from 0 to 16 and the digit that they show. A round goes PASSES times over all rows, in an order drawn anew for each
 * pass from the round and the pass alone. What it knows (weights, momentum) is in /checkpoint/state; all sums are in one order, so
 * a run that goes on from there ends with the same bytes as one that was never disturbed.
 *
 * How it speaks with its node is in report() and measure(); docs/training.md says what is agreed. Where there is no /fogproof it
 * saves its files all the same, in ./checkpoint, and waits for nobody.
 */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { PIXELS = 64, CLASSES = 10, INPUTS = PIXELS + 1, MAX_ROWS = 4096 };

struct model {
  double weights[CLASSES][INPUTS];
  double momentum[CLASSES][INPUTS];
};

static struct model model;
static double rows[MAX_ROWS][INPUTS];
static int labels[MAX_ROWS];
static int order[MAX_ROWS];
static int row_count;
static const char *checkpoint_folder = "/checkpoint";
static const char *control_folder = "/fogproof";

static void fail(const char *what) {
  fprintf(stderr, "%s: %s\n", what, strerror(errno));
  exit(1);
}

static void place(char path[512], const char *folder, const char *name) { snprintf(path, 512, "%s/%s", folder, name); }

/* splitmix64 */
static uint64_t next(uint64_t *state) {
  uint64_t z = (*state += 0x9e3779b97f4a7c15u);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

static void read_rows(const char *path) {
  FILE *file = fopen(path, "r");
  if (file == NULL) fail(path);
  char line[1024];
  while (row_count < MAX_ROWS && fgets(line, sizeof line, file) != NULL) {
    char *cursor = line;
    for (int pixel = 0; pixel < PIXELS; pixel++) {
      rows[row_count][pixel] = strtod(cursor, &cursor) / 16;
      cursor += *cursor == ',';
    }
    rows[row_count][PIXELS] = 1;
    labels[row_count++] = (int)strtol(cursor, NULL, 10);
  }
  fclose(file);
}

/* Writes a file whole, or leaves the one before. */
static void save(const char *name, const void *bytes, size_t size) {
  char path[512], temporary[512];
  place(path, checkpoint_folder, name);
  place(temporary, checkpoint_folder, ".new");
  FILE *file = fopen(temporary, "w");
  if (file == NULL || fwrite(bytes, 1, size, file) != size || fclose(file) != 0) fail(temporary);
  if (rename(temporary, path) != 0) fail(path);
}

/* Goes on from what is there: gives the round, 0 if nothing is. */
static long load(void) {
  char path[512];
  long round = 0;
  place(path, checkpoint_folder, "ROUND");
  FILE *file = fopen(path, "r");
  if (file == NULL) return 0;
  if (fscanf(file, "%ld", &round) != 1) round = 0;
  fclose(file);
  place(path, checkpoint_folder, "state");
  file = fopen(path, "r");
  if (file == NULL || fread(&model, sizeof model, 1, file) != 1) fail(path);
  fclose(file);
  return round;
}

static long read_number(const char *name) {
  char path[512];
  long value = -1;
  place(path, control_folder, name);
  FILE *file = fopen(path, "r");
  if (file == NULL) return -1;
  if (fscanf(file, "%ld", &value) != 1) value = 0;
  fclose(file);
  return value;
}

/* The round is over and its files stand. Waits until the node has taken them: then they may change again. */
static void report(long round) {
  char text[32];
  save("ROUND", text, (size_t)snprintf(text, sizeof text, "%ld\n", round));
  for (long taken = read_number("taken"); taken >= 0 && taken < round; taken = read_number("taken")) {
    nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
  }
}

static void measure(long round, double loss, double accuracy) {
  char path[512];
  place(path, control_folder, "metrics.jsonl");
  FILE *file = fopen(path, "a");
  if (file == NULL) return;
  fprintf(file, "{\"step\": %ld, \"loss\": %.17g, \"accuracy\": %.17g}\n", round, loss, accuracy);
  fclose(file);
}

/* Loss of one row, and its gradient taken off the weights. */
static double learn(int row, int *is_right) {
  double scores[CLASSES], total = 0;
  int best = 0;
  for (int class = 0; class < CLASSES; class++) {
    scores[class] = 0;
    for (int input = 0; input < INPUTS; input++) scores[class] += model.weights[class][input] * rows[row][input];
    if (scores[class] > scores[best]) best = class;
  }
  const double highest = scores[best];
  for (int class = 0; class < CLASSES; class++) total += scores[class] = exp(scores[class] - highest);
  for (int class = 0; class < CLASSES; class++) {
    const double error = scores[class] / total - (class == labels[row]);
    for (int input = 0; input < INPUTS; input++) {
      model.momentum[class][input] = 0.9 * model.momentum[class][input] - 0.001 * error * rows[row][input];
      model.weights[class][input] += model.momentum[class][input];
    }
  }
  *is_right = best == labels[row];
  return -log(scores[labels[row]] / total);
}

static void train_round(long round, long passes) {
  double loss = 0;
  long right = 0;
  for (long pass = 0; pass < passes; pass++) {
    uint64_t random = (uint64_t)round * 1000003 + (uint64_t)pass;
    for (int row = 0; row < row_count; row++) order[row] = row;
    for (int row = row_count - 1; row > 0; row--) {
      const int other = (int)(next(&random) % (uint64_t)(row + 1)), kept = order[row];
      order[row] = order[other];
      order[other] = kept;
    }
    for (int row = 0; row < row_count; row++) {
      int is_right;
      loss += learn(order[row], &is_right);
      right += is_right;
    }
  }
  const double seen = (double)row_count * (double)passes;
  measure(round, loss / seen, (double)right / seen);
}

static void write_weights(const char *folder) {
  char path[512];
  place(path, folder, "weights.f64");
  FILE *file = fopen(path, "w");
  if (file == NULL || fwrite(model.weights, sizeof model.weights, 1, file) != 1 || fclose(file) != 0) fail(path);
}

int main(int count, char **arguments) {
  if (count != 5) {
    fprintf(stderr, "usage: softmax ROWS.csv OUTPUT_FOLDER ROUNDS PASSES\n");
    return 2;
  }
  const long rounds = strtol(arguments[3], NULL, 10), passes = strtol(arguments[4], NULL, 10);
  if (access(control_folder, W_OK) != 0) {
    checkpoint_folder = "checkpoint";
    mkdir(checkpoint_folder, 0777);
  }
  read_rows(arguments[1]);
  const long start = load();
  printf("%d rows, from round %ld to %ld\n", row_count, start, rounds);
  fflush(stdout);
  for (long round = start + 1; round <= rounds; round++) {
    train_round(round, passes);
    save("state", &model, sizeof model);
    report(round);
  }
  write_weights(arguments[2]);
  return 0;
}
