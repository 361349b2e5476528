/*
 * What a stepping job needs to speak with its host, for C and C++ (docs/stepping.md, docs/tutorial-stepping.md).
 *
 * Define fogproof_init and fogproof_step and keep all that the job knows in memory. Compile with clang and wasm-ld:
 *   clang --target=wasm32 -O3 -nostdlib -mbulk-memory -Wl,--no-entry -Wl,--strip-all -o job.wasm job.c
 * Do not pass -matomics, -mmultivalue with tables, or anything that makes passive segments.
 */
#ifndef FOGPROOF_H
#define FOGPROOF_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define FOGPROOF_IMPORT(name) __attribute__((import_module("fogproof"), import_name(#name)))
#define FOGPROOF_EXPORT(name) __attribute__((export_name(#name)))

/* fogproof_init returns MORE if all is well; fogproof_step MORE, or DONE after the last step. Negative: the job has failed. */
enum { FOGPROOF_MORE = 0, FOGPROOF_DONE = 1, FOGPROOF_FAILED = -1 };

FOGPROOF_EXPORT(fogproof_init) int32_t fogproof_init(void);
FOGPROOF_EXPORT(fogproof_step) int32_t fogproof_step(void);

/* Inputs are in ascending order of path. */
FOGPROOF_IMPORT(input_count) int32_t fogproof_input_count(void);
/* Bytes of an input, or -1 if there is none with this index. */
FOGPROOF_IMPORT(input_len) int32_t fogproof_input_len(int32_t index);
/* Bytes read, fewer at the end of the input; -1 if there is none with this index. */
FOGPROOF_IMPORT(input_read) int32_t fogproof_input_read(int32_t index, void *target, int32_t offset, int32_t length);
/* Appends to the job's one output. */
FOGPROOF_IMPORT(output_write) void fogproof_output_write(const void *source, int32_t length);
/* One line of the job's log, UTF-8. */
FOGPROOF_IMPORT(log) void fogproof_log(const char *text, int32_t length);
/* One value of a metric in the current step. */
FOGPROOF_IMPORT(metric) void fogproof_metric(const char *name, int32_t length, double value);
/* Bytes from the job's seed, the same on every replica. */
FOGPROOF_IMPORT(random) void fogproof_random(void *target, int32_t length);

static inline int32_t fogproof_strlen(const char *text) {
  int32_t length = 0;
  while (text[length] != 0) length++;
  return length;
}

static inline void fogproof_say(const char *text) { fogproof_log(text, fogproof_strlen(text)); }

static inline void fogproof_measure(const char *name, double value) {
  fogproof_metric(name, fogproof_strlen(name), value);
}

/* Logs the reason and gives what to return: return fogproof_fail("input 0 is empty"); */
static inline int32_t fogproof_fail(const char *reason) {
  fogproof_say(reason);
  return FOGPROOF_FAILED;
}

/*
 * Memory that is never freed, zeroed, aligned to 16 bytes; null beyond the job's limit. Allocate in fogproof_init. It must
 * be the only one who grows memory.
 */
extern unsigned char __heap_base;
static inline void *fogproof_allocate(size_t bytes) {
  static uintptr_t next = 0;
  if (next == 0) next = ((uintptr_t)&__heap_base + 15) & ~(uintptr_t)15;
  const size_t whole = (bytes + 15) & ~(size_t)15;
  const uintptr_t start = next;
  if (whole < bytes || start + whole < start) return NULL;
  const uintptr_t end = start + whole;
  const uintptr_t have = (uintptr_t)__builtin_wasm_memory_size(0) << 16;
  if (end > have && __builtin_wasm_memory_grow(0, (end - have + 65535) >> 16) == (size_t)-1) return NULL;
  next = end;
  return (void *)start;
}

/* xoshiro256** (Blackman and Vigna 2018): a dozen instructions a number, where fogproof_random costs a call of the host. */
typedef struct {
  uint64_t a, b, c, d;
} fogproof_xoshiro;

static inline void fogproof_seed(fogproof_xoshiro *state) {
  fogproof_random(state, sizeof *state);
  state->d |= 1;
}

static inline uint64_t fogproof_rotate(uint64_t value, int bits) { return (value << bits) | (value >> (64 - bits)); }

static inline uint64_t fogproof_next(fogproof_xoshiro *state) {
  const uint64_t result = fogproof_rotate(state->b * 5, 7) * 9;
  const uint64_t shifted = state->b << 17;
  state->c ^= state->a;
  state->d ^= state->b;
  state->b ^= state->c;
  state->a ^= state->d;
  state->c ^= shifted;
  state->d = fogproof_rotate(state->d, 45);
  return result;
}

/* A number in [0, 1) with 53 random bits. */
static inline double fogproof_unit(uint64_t bits) { return (double)(bits >> 11) * 0x1p-53; }

#ifdef __cplusplus
}
#endif
#endif
