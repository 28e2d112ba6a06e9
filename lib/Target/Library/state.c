/*===- state.c - the state of a network as a file ---------------------------------===*\
|*
|* safetensors, its header known beforehand (LibraryState.cpp).
|*
\*===----------------------------------------------------------------------===*/
#include "network.h"

/* CRC-32 as in zlib, continued from `crc`. */
static uint32_t crc32(uint32_t crc, const void *data, size_t bytes) {
  uint32_t table[16];
  for (uint32_t i = 0; i < 16; ++i) {
    table[i] = i;
    for (int bit = 0; bit < 4; ++bit)
      table[i] = table[i] >> 1 ^ (table[i] & 1 ? 0xEDB88320u : 0);
  }
  crc = ~crc;
  for (const unsigned char *at = data, *end = at + bytes; at < end; ++at) {
    crc = crc >> 4 ^ table[(crc ^ *at) & 15];
    crc = crc >> 4 ^ table[(crc ^ *at >> 4) & 15];
  }
  return ~crc;
}

static void put_decimal(char *to, uint64_t value) {
  for (int i = 19; i >= 0; --i, value /= 10)
    to[i] = (char)('0' + value % 10);
}

static int get_decimal(const char *from, uint64_t *value) {
  *value = 0;
  for (int i = 0; i < 20; ++i) {
    uint64_t digit = (uint64_t)(from[i] - '0');
    if (digit > 9 || *value > (UINT64_MAX - digit) / 10)
      return 0;
    *value = *value * 10 + digit;
  }
  return 1;
}

static void put_hex(char *to, uint32_t value) {
  for (int i = 7; i >= 0; --i, value >>= 4)
    to[i] = "0123456789abcdef"[value & 15];
}

/* The header with this step and seed, eight zeros for the check sum; the caller's to free. */
static char *make_header(uint64_t steps, uint64_t seed) {
  char *header = malloc(MODEL.header_bytes);
  if (!header)
    return 0;
  memcpy(header, MODEL.header, MODEL.header_bytes);
  put_decimal(header + MODEL.step_at, steps);
  put_decimal(header + MODEL.seed_at, seed);
  return header;
}

static int write_all(FILE *file, const char *header, const char *state) {
  if (fwrite(header, 1, MODEL.header_bytes, file) != MODEL.header_bytes)
    return 0;
  for (size_t i = 0; i < MODEL.state_count; ++i)
    if (fwrite(state + MODEL.state[i].offset, 1, MODEL.state[i].bytes, file) != MODEL.state[i].bytes)
      return 0;
  return fflush(file) == 0 && fsync(fileno(file)) == 0;
}

/* The name in the folder has to last as well. */
static void sync_folder(const char *path, char *scratch) {
  const char *slash = strrchr(path, '/');
  size_t length = slash ? (size_t)(slash - path) + 1 : 1;
  memcpy(scratch, slash ? path : ".", length);
  scratch[length] = 0;
  FILE *folder = fopen(scratch, "r");
  if (!folder)
    return;
  fsync(fileno(folder));
  fclose(folder);
}

/* A file beside `path` that nobody else writes: PATH.PROCESS-HANDLE.tmp */
static char *temporary_name(const struct network *net, const char *path) {
  size_t length = strlen(path);
  char *name = malloc(length + 32);
  if (!name)
    return 0;
  memcpy(name, path, length);
  name[length] = '.';
  put_hex(name + length + 1, (uint32_t)getpid());
  put_hex(name + length + 9, (uint32_t)((uintptr_t)net >> 7));
  memcpy(name + length + 17, ".tmp", 5);
  return name;
}

API int nibble_lib_save(const struct network *net, const char *path) {
  if (!net || !path)
    return BAD_ARGUMENT;
  char *header = make_header(net->steps, net->seed), *temporary = temporary_name(net, path);
  int error = header && temporary ? OK : NO_MEMORY;
  if (!error) {
    uint32_t crc = crc32(0, header, MODEL.header_bytes);
    for (size_t i = 0; i < MODEL.state_count; ++i)
      crc = crc32(crc, net->state + MODEL.state[i].offset, MODEL.state[i].bytes);
    put_hex(header + MODEL.crc_at, crc);
    remove(temporary); /* of a process that was killed */
    FILE *file = fopen(temporary, "wbx");
    error = file && write_all(file, header, net->state) ? OK : CANNOT_WRITE;
    if (file && fclose(file) != 0)
      error = CANNOT_WRITE;
    if (!error && rename(temporary, path) != 0)
      error = CANNOT_WRITE;
    if (file && error)
      remove(temporary);
    if (!error)
      sync_folder(path, temporary);
  }
  free(temporary);
  free(header);
  return error;
}

/* Why a header of a file, `bytes` long, is not ours. */
static int explain(const char *header, size_t bytes) {
  /* The first eight bytes are the header's length, the model's affair. */
  if (bytes < MODEL.format_prefix || memcmp(header + 8, MODEL.header + 8, MODEL.format_prefix - 8) != 0)
    return NOT_A_STATE;
  if (bytes < MODEL.version_prefix || memcmp(header + 8, MODEL.header + 8, MODEL.version_prefix - 8) != 0)
    return OTHER_VERSION;
  return OTHER_MODEL;
}

/* Reads the header; `expected` gets its step, seed and no check sum, which is `crc`. */
static int read_header(FILE *file, char *found, char *expected, char *crc) {
  size_t bytes = fread(found, 1, MODEL.header_bytes, file);
  if (bytes == MODEL.header_bytes) {
    memcpy(expected + MODEL.step_at, found + MODEL.step_at, 20);
    memcpy(expected + MODEL.seed_at, found + MODEL.seed_at, 20);
    memcpy(crc, found + MODEL.crc_at, 8);
    memcpy(found + MODEL.crc_at, expected + MODEL.crc_at, 8);
  }
  if (bytes == MODEL.header_bytes && memcmp(found, expected, bytes) == 0)
    return OK;
  int error = explain(found, bytes);
  return error == OTHER_MODEL && bytes < MODEL.header_bytes && memcmp(found, MODEL.header, MODEL.version_prefix) == 0 ? DAMAGED : error;
}

/* Reads all tensors, in the file one behind the other, to `to` and checks the sum. */
static int read_tensors(FILE *file, const char *header, const char *crc, char *to, size_t bytes) {
  char after, digits[8];
  if (fread(to, 1, bytes, file) != bytes || fread(&after, 1, 1, file) != 0)
    return DAMAGED;
  put_hex(digits, crc32(crc32(0, header, MODEL.header_bytes), to, bytes));
  return memcmp(digits, crc, 8) == 0 ? OK : DAMAGED;
}

static int read_state(struct network *net, FILE *file, char *found, char *expected, char *tensors, size_t bytes) {
  char crc[8];
  uint64_t steps, seed;
  int error = read_header(file, found, expected, crc);
  if (!error)
    error = read_tensors(file, expected, crc, tensors, bytes);
  if (error)
    return error;
  if (!get_decimal(expected + MODEL.step_at, &steps) || !get_decimal(expected + MODEL.seed_at, &seed) || steps > INT64_MAX)
    return DAMAGED;
  for (size_t i = 0; i < MODEL.state_count; tensors += MODEL.state[i++].bytes)
    memcpy(net->state + MODEL.state[i].offset, tensors, MODEL.state[i].bytes);
  net->steps = steps;
  net->seed = seed;
  return OK;
}

API int nibble_lib_load(struct network *net, const char *path) {
  if (!net || !path)
    return BAD_ARGUMENT;
  size_t bytes = 0;
  for (size_t i = 0; i < MODEL.state_count; ++i)
    bytes += MODEL.state[i].bytes;
  char *found = malloc(MODEL.header_bytes), *expected = make_header(0, 0), *tensors = malloc(bytes + 1);
  int error = NO_MEMORY;
  if (found && expected && tensors) {
    FILE *file = fopen(path, "rb");
    error = file ? read_state(net, file, found, expected, tensors, bytes) : CANNOT_OPEN;
    if (file)
      fclose(file);
  }
  free(tensors);
  free(expected);
  free(found);
  return error;
}
