/*
 * Whole files and lines of text through WASI preview 1, without a C library: this example compiles with clang and wasm-ld
 * alone. With wasi-libc (Debian: apt install wasi-libc libclang-rt-dev-wasm32) these are fopen, fread, fwrite and fclose.
 */
#ifndef WASI_H
#define WASI_H

#include <stddef.h>
#include <stdint.h>

#define WASI_IMPORT(name) __attribute__((import_module("wasi_snapshot_preview1"), import_name(#name)))

typedef struct {
  void *data;
  uint32_t length;
} wasi_buffer;

/* Descriptor of `/`, which every job is given; paths are relative to it. */
enum { WASI_STDOUT = 1, WASI_STDERR = 2, WASI_ROOT = 3 };
enum { WASI_CREATE = 1, WASI_TRUNCATE = 8 };
enum { WASI_MAY_READ = 2, WASI_MAY_WRITE = 64 };

WASI_IMPORT(path_open)
int32_t wasi_path_open(int32_t folder, int32_t lookup, const char *path, uint32_t length, int32_t flags, int64_t rights,
                       int64_t inheriting, int32_t descriptor_flags, int32_t *descriptor);
WASI_IMPORT(fd_read) int32_t wasi_fd_read(int32_t fd, const wasi_buffer *buffers, uint32_t count, uint32_t *taken);
WASI_IMPORT(fd_write) int32_t wasi_fd_write(int32_t fd, const wasi_buffer *buffers, uint32_t count, uint32_t *taken);
WASI_IMPORT(fd_close) int32_t wasi_fd_close(int32_t fd);
WASI_IMPORT(random_get) int32_t wasi_random_get(void *target, uint32_t length);
WASI_IMPORT(proc_exit) _Noreturn void wasi_proc_exit(int32_t code);

static uint32_t wasi_length(const char *text) {
  uint32_t length = 0;
  while (text[length] != 0) length++;
  return length;
}

static void wasi_print(int32_t stream, const char *text, uint32_t length) {
  const wasi_buffer buffer = {(void *)text, length};
  uint32_t taken;
  wasi_fd_write(stream, &buffer, 1, &taken);
}

static _Noreturn void wasi_fail(const char *reason) {
  wasi_print(WASI_STDERR, reason, wasi_length(reason));
  wasi_proc_exit(1);
}

/* Bytes of the file, cut off at `length`; -1 if there is none. */
static int32_t wasi_read_file(const char *path, void *target, uint32_t length) {
  int32_t fd;
  if (wasi_path_open(WASI_ROOT, 0, path, wasi_length(path), 0, WASI_MAY_READ, 0, 0, &fd) != 0) return -1;
  const wasi_buffer buffer = {target, length};
  uint32_t taken = 0;
  const int32_t failed = wasi_fd_read(fd, &buffer, 1, &taken);
  wasi_fd_close(fd);
  return failed ? -1 : (int32_t)taken;
}

/* Writes and closes the file: under its path stands all of it, or the job ends. */
static void wasi_write_file(const char *path, const void *source, uint32_t length) {
  int32_t fd;
  const int32_t flags = WASI_CREATE | WASI_TRUNCATE;
  if (wasi_path_open(WASI_ROOT, 0, path, wasi_length(path), flags, WASI_MAY_WRITE, 0, 0, &fd) != 0)
    wasi_fail("a file cannot be opened");
  const wasi_buffer buffer = {(void *)source, length};
  uint32_t taken = 0;
  if (wasi_fd_write(fd, &buffer, 1, &taken) != 0 || taken != length) wasi_fail("there is no room for a file");
  wasi_fd_close(fd);
}

#endif
