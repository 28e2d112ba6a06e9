/*===- model.h - what a library's runtime is told about its model ---*- C -*-===*\
|*
|* One constant of this type, `nibble_lib_model`, is made by LibraryModule.cpp for each library, field by field in
|* this order (it checks number and kind of the fields against the type in the bitcode).
|*
\*===----------------------------------------------------------------------===*/
#ifndef NIBBLE_TARGET_LIBRARY_MODEL_H
#define NIBBLE_TARGET_LIBRARY_MODEL_H

#include <stddef.h>
#include <stdint.h>

/* The same struct as `<model>_tensor` of the generated header (LibraryHeader.cpp). */
struct nibble_lib_tensor {
  const char *name, *onnx_name, *role, *type, *layout;
  int32_t trained, rank;
  const int64_t *shape;
  size_t offset, bytes;
};

/* Initial bytes of a tensor of the state. `unit` bytes are given, and repeated up to `bytes`. */
struct nibble_lib_initial {
  size_t offset, bytes, unit;
  const void *data;
};

/* x86: bit `bit` of register `place` (0 eax, 1 ebx, 2 ecx, 3 edx) of cpuid(leaf, subleaf), and all of `enabled` in XCR0.
   AArch64: bit `bit` of getauxval(leaf). */
struct nibble_lib_feature {
  const char *name;
  uint32_t leaf, subleaf, place, bit, enabled, unused;
};

struct nibble_lib_model {
  const char *error_wrong_processor; /* names the features */
  const struct nibble_lib_tensor *inputs, *outputs, *parameters, *state;
  size_t input_count, output_count, parameter_count, state_count;
  const struct nibble_lib_initial *initial;
  size_t initial_count;
  const struct nibble_lib_feature *features;
  size_t feature_count;
  const char *const *report_names;
  size_t report_count, eval_report_count;
  /* Rows of a batch; 0 classes where the loss takes real targets; calls of train_step that make one update. */
  size_t rows;
  int64_t classes, micro_batches;
  /* Bytes: of the whole state (a multiple of 128), the arena, a batch, and the network's output. */
  size_t state_bytes, arena_bytes, x_bytes, answer_bytes, output_bytes;
  /* A file of the state: text up to the tensors' bytes, and where in it 20 digits of the step, 20 of the seed and 8 of the
     check sum go. */
  const char *header;
  size_t header_bytes, step_at, seed_at, crc_at;
  /* Bytes of `header` that every state file of any model begins with, and of any version. */
  size_t version_prefix, format_prefix;
};

extern const struct nibble_lib_model nibble_lib_model;

/* The steps: object code of their own, the bytes that the JIT loads (Target/Program.h says what they take). */
int32_t nibble_lib_train_code(void *state, void *arena, const void *x, const void *answers, double rate, int64_t step, int64_t seed,
                              int64_t update, float *report, int32_t threads);
int32_t nibble_lib_eval_code(void *state, void *arena, const void *x, const void *answers, int32_t rows, float *report, void *output,
                             int32_t threads);

#endif
