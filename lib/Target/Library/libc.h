/*===- libc.h - all that a library takes from the C library --------*- C -*-===*\
|*
|* Declared here and not included: the runtime is compiled to bitcode once for each architecture, also for
|* those whose C library is not installed where Nibble is built. POSIX and C17 functions without variants, and
|* no constant that differs between systems.
|*
\*===----------------------------------------------------------------------===*/
#ifndef NIBBLE_TARGET_LIBRARY_LIBC_H
#define NIBBLE_TARGET_LIBRARY_LIBC_H

#include <stddef.h>
#include <stdint.h>

typedef struct nibble_file FILE; /* opaque, as ever */

void *memcpy(void *to, const void *from, size_t bytes);
void *memset(void *to, int value, size_t bytes);
int memcmp(const void *a, const void *b, size_t bytes);
size_t strlen(const char *text);
char *strrchr(const char *text, int letter);

void *malloc(size_t bytes);
void *aligned_alloc(size_t alignment, size_t bytes);
void free(void *memory);

FILE *fopen(const char *path, const char *mode);
int fclose(FILE *file);
size_t fread(void *to, size_t size, size_t count, FILE *file);
size_t fwrite(const void *from, size_t size, size_t count, FILE *file);
int fflush(FILE *file);
int fileno(FILE *file);
int fsync(int descriptor);
int rename(const char *from, const char *to);
int remove(const char *path);

int getpid(void);
/* Processors that this process may use. */
int get_nprocs(void);
/* Linux: what the kernel says about the processor. */
unsigned long getauxval(unsigned long type);

#endif
