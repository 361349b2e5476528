/*
 * Bodies under their own gravity, by the velocity Verlet method (Swope et al. 1982), as a plain program: it reads
 * /settings.txt (bodies, steps, seed), writes where every body is to /output/bodies.csv and the energy before and after to
 * /output/energy.txt. Only +, -, *, / and sqrt are used, which IEEE 754 gives to the last bit, so equal processors give equal
 * files; the compiler is told not to fuse multiplications with additions. Several processes share out the rows of forces:
 * argument 1 is how many.
 */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MOST_BODIES = 4096, MOST_STEPS = 1000000, MOST_WORKERS = 16, LINES = 10 };
static const double STEP = 1e-4, SOFTENING = 1e-2;

struct body {
  double place[3], speed[3], force[3], mass;
};

/* Marsaglia's xorshift64*, as in Vigna (2016). */
static double draw(uint64_t *state) {
  *state ^= *state >> 12;
  *state ^= *state << 25;
  *state ^= *state >> 27;
  return (double)((*state * UINT64_C(2685821657736338717)) >> 11) / 9007199254740992.0;
}

/* On the bodies from `first` on, every `stride`th: the sum is always taken in the same order. */
static void compute_forces(struct body *bodies, int count, int first, int stride) {
  for (int i = first; i < count; i += stride) {
    double sum[3] = {0, 0, 0};
    for (int j = 0; j < count; j++) {
      if (j == i) continue;
      double way[3], square = SOFTENING * SOFTENING;
      for (int axis = 0; axis < 3; axis++) {
        way[axis] = bodies[j].place[axis] - bodies[i].place[axis];
        square += way[axis] * way[axis];
      }
      const double share = bodies[j].mass / (square * sqrt(square));
      for (int axis = 0; axis < 3; axis++) sum[axis] += way[axis] * share;
    }
    memcpy(bodies[i].force, sum, sizeof sum);
  }
}

static double compute_energy(const struct body *bodies, int count) {
  double energy = 0;
  for (int i = 0; i < count; i++) {
    double square = 0;
    for (int axis = 0; axis < 3; axis++) square += bodies[i].speed[axis] * bodies[i].speed[axis];
    energy += 0.5 * bodies[i].mass * square;
    for (int j = i + 1; j < count; j++) {
      double distance = SOFTENING * SOFTENING;
      for (int axis = 0; axis < 3; axis++) {
        const double way = bodies[j].place[axis] - bodies[i].place[axis];
        distance += way * way;
      }
      energy -= bodies[i].mass * bodies[j].mass / sqrt(distance);
    }
  }
  return energy;
}

static int worker_count;
static int ask[MOST_WORKERS][2], answer[MOST_WORKERS][2];

/* Workers wait for a byte, compute their share of the forces, and give a byte back; they end when the pipe closes. */
static int start_workers(struct body *bodies, int count) {
  for (int worker = 0; worker < worker_count; worker++) {
    if (pipe(ask[worker]) != 0 || pipe(answer[worker]) != 0) return -1;
    const pid_t child = fork();
    if (child < 0) return -1;
    if (child > 0) continue;
    for (int each = 0; each <= worker; each++) close(ask[each][1]);
    char byte;
    while (read(ask[worker][0], &byte, 1) == 1) {
      compute_forces(bodies, count, worker, worker_count);
      if (write(answer[worker][1], &byte, 1) != 1) _exit(1);
    }
    _exit(0);
  }
  return 0;
}

static int share_out_forces(void) {
  char byte = 0;
  for (int worker = 0; worker < worker_count; worker++)
    if (write(ask[worker][1], &byte, 1) != 1) return -1;
  for (int worker = 0; worker < worker_count; worker++)
    if (read(answer[worker][0], &byte, 1) != 1) return -1;
  return 0;
}

static void move_bodies(struct body *bodies, int count) {
  for (int i = 0; i < count; i++)
    for (int axis = 0; axis < 3; axis++) {
      bodies[i].speed[axis] += 0.5 * STEP * bodies[i].force[axis];
      bodies[i].place[axis] += STEP * bodies[i].speed[axis];
    }
}

static void end_step(struct body *bodies, int count) {
  for (int i = 0; i < count; i++)
    for (int axis = 0; axis < 3; axis++) bodies[i].speed[axis] += 0.5 * STEP * bodies[i].force[axis];
}

static int write_results(const struct body *bodies, int count, double before, double after) {
  FILE *file = fopen("/output/bodies.csv", "w");
  if (file == NULL) return -1;
  fprintf(file, "x,y,z,vx,vy,vz,mass\n");
  for (int i = 0; i < count; i++) {
    const struct body *b = &bodies[i];
    fprintf(file, "%.17g,%.17g,%.17g,%.17g,%.17g,%.17g,%.17g\n", b->place[0], b->place[1], b->place[2], b->speed[0],
            b->speed[1], b->speed[2], b->mass);
  }
  if (fclose(file) != 0 || (file = fopen("/output/energy.txt", "w")) == NULL) return -1;
  fprintf(file, "%.17g %.17g\n", before, after);
  return fclose(file);
}

int main(int argc, char **argv) {
  int count = 0, steps = 0;
  unsigned long long seed = 0;
  FILE *settings = fopen("/settings.txt", "r");
  worker_count = argc > 1 ? atoi(argv[1]) : 1;
  if (settings == NULL || fscanf(settings, "%d %d %llu", &count, &steps, &seed) != 3 || count < 2 || count > MOST_BODIES ||
      steps < 1 || steps > MOST_STEPS || worker_count < 1 || worker_count > MOST_WORKERS) {
    fprintf(stderr, "/settings.txt: expected bodies (2 to %d), steps and seed; argument 1: processes (1 to %d)\n",
            MOST_BODIES, MOST_WORKERS);
    return 2;
  }
  struct body *bodies = mmap(NULL, (size_t)count * sizeof *bodies, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (bodies == MAP_FAILED) return 3;
  uint64_t state = seed * 2 + 1;
  for (int i = 0; i < count; i++) {
    bodies[i].mass = 1.0 / count;
    for (int axis = 0; axis < 3; axis++) {
      bodies[i].place[axis] = 2 * draw(&state) - 1;
      bodies[i].speed[axis] = 0.2 * (draw(&state) - 0.5);
    }
  }
  if (start_workers(bodies, count) != 0 || share_out_forces() != 0) return 4;
  const double before = compute_energy(bodies, count);
  for (int step = 1; step <= steps; step++) {
    move_bodies(bodies, count);
    if (share_out_forces() != 0) return 4;
    end_step(bodies, count);
    if (step % (steps / LINES > 0 ? steps / LINES : 1) == 0) {
      printf("step %d: energy %.12g\n", step, compute_energy(bodies, count));
      fflush(stdout);
    }
  }
  for (int worker = 0; worker < worker_count; worker++) close(ask[worker][1]);
  while (wait(NULL) > 0) continue;
  return write_results(bodies, count, before, compute_energy(bodies, count)) == 0 ? 0 : 5;
}
