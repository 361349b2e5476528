/*
 * A Monte Carlo simulation: the two-dimensional Ising model by the Metropolis algorithm (1953). Spins stand on a square
 * lattice that wraps around; one step of the job is one sweep, a try for every spin. Input 0 (optional): three numbers as text,
 * side of the lattice, temperature in units of J/k, sweeps. Output: one line of JSON with the mean magnetisation and energy a
 * spin over the second half of the sweeps. Below the critical temperature Onsager's exact result is to be compared with:
 * m = (1 - sinh(2/T)^-4)^(1/8).
 */
#include "../../../sdk/c/fogproof.h"

enum { LEAST_SIDE = 8, MOST_SIDE = 4096, MOST_SWEEPS = 10000000 };

static int32_t side = 512;
static double temperature = 2.0;
static int32_t sweeps = 200;

static int8_t *spins;
static fogproof_xoshiro generator;
/* Probability of flipping a spin that loses energy 4 or 8, as a threshold for 64 random bits. */
static uint64_t accept_four, accept_eight;
static int32_t done;
static double sum_magnetisation, sum_energy;
static int32_t measured;

/* e^-x for x >= 0: no library is linked, and the order of operations is the same everywhere. */
static double exp_of_minus(double x) {
  const double small = x / 1024.0;
  double term = 1.0, sum = 1.0;
  for (int n = 1; n < 16; n++) {
    term *= -small / n;
    sum += term;
  }
  for (int n = 0; n < 10; n++) sum *= sum;
  return sum;
}

static const char *read_number(const char *text, const char *end, double *value) {
  while (text < end && (*text == ' ' || *text == '\n')) text++;
  const char *start = text;
  double whole = 0.0, scale = 1.0;
  int has_point = 0;
  for (; text < end && ((*text >= '0' && *text <= '9') || (*text == '.' && !has_point)); text++) {
    if (*text == '.') has_point = 1;
    else {
      whole = whole * 10.0 + (*text - '0');
      if (has_point) scale *= 10.0;
    }
  }
  if (text == start) return NULL;
  *value = whole / scale;
  return text;
}

static int read_settings(void) {
  static char text[256];
  if (fogproof_input_count() == 0) return 1;
  const int32_t length = fogproof_input_read(0, text, 0, sizeof text);
  double given_side, given_sweeps;
  const char *at = read_number(text, text + length, &given_side);
  if (at != NULL) at = read_number(at, text + length, &temperature);
  if (at != NULL) at = read_number(at, text + length, &given_sweeps);
  if (at == NULL || given_side > MOST_SIDE || given_sweeps > MOST_SWEEPS) return 0;
  side = (int32_t)given_side;
  sweeps = (int32_t)given_sweeps;
  return side >= LEAST_SIDE && sweeps >= 1 && temperature > 0.0;
}

int32_t fogproof_init(void) {
  if (!read_settings()) return fogproof_fail("input 0: expected side (8 to 4096), temperature and sweeps");
  spins = fogproof_allocate((size_t)side * side);
  if (spins == NULL) return fogproof_fail("the lattice does not fit into the job's memory");
  fogproof_seed(&generator);
  for (int32_t site = 0; site < side * side; site++) spins[site] = 1;
  accept_four = (uint64_t)(exp_of_minus(4.0 / temperature) * 0x1p63) << 1;
  accept_eight = (uint64_t)(exp_of_minus(8.0 / temperature) * 0x1p63) << 1;
  return FOGPROOF_MORE;
}

static void sweep(void) {
  for (int32_t y = 0; y < side; y++) {
    int8_t *row = spins + (size_t)y * side;
    const int8_t *above = spins + (size_t)(y == 0 ? side - 1 : y - 1) * side;
    const int8_t *below = spins + (size_t)(y == side - 1 ? 0 : y + 1) * side;
    for (int32_t x = 0; x < side; x++) {
      const int around = above[x] + below[x] + row[x == 0 ? side - 1 : x - 1] + row[x == side - 1 ? 0 : x + 1];
      const int cost = 2 * row[x] * around;
      if (cost <= 0 || fogproof_next(&generator) < (cost == 4 ? accept_four : accept_eight)) row[x] = -row[x];
    }
  }
}

static void measure(void) {
  int64_t magnetisation = 0, energy = 0;
  for (int32_t y = 0; y < side; y++) {
    const int8_t *row = spins + (size_t)y * side;
    const int8_t *below = spins + (size_t)(y == side - 1 ? 0 : y + 1) * side;
    for (int32_t x = 0; x < side; x++) {
      magnetisation += row[x];
      energy -= row[x] * (below[x] + row[x == side - 1 ? 0 : x + 1]);
    }
  }
  const double sites = (double)side * side;
  const double each = (magnetisation < 0 ? -magnetisation : magnetisation) / sites;
  fogproof_measure("magnetisation", each);
  fogproof_measure("energy", energy / sites);
  if (done <= sweeps / 2) return;
  sum_magnetisation += each;
  sum_energy += energy / sites;
  measured++;
}

static char line[160];
static int32_t length;

static void put(const char *text) {
  while (*text != 0) line[length++] = *text++;
}

/* Six decimals, rounded down. */
static void put_number(double value) {
  if (value < 0.0) {
    put("-");
    value = -value;
  }
  char digits[24];
  int count = 0;
  uint64_t millionths = (uint64_t)(value * 1e6);
  for (; count < 7 || millionths > 0; millionths /= 10) digits[count++] = (char)('0' + millionths % 10);
  while (count > 0) {
    line[length++] = digits[--count];
    if (count == 6) line[length++] = '.';
  }
}

int32_t fogproof_step(void) {
  sweep();
  done++;
  measure();
  if (done < sweeps) return FOGPROOF_MORE;
  put("{\"magnetisation\":");
  put_number(sum_magnetisation / measured);
  put(",\"energy\":");
  put_number(sum_energy / measured);
  put(",\"measured\":");
  put_number(measured);
  put("}\n");
  fogproof_output_write(line, length);
  return FOGPROOF_DONE;
}
