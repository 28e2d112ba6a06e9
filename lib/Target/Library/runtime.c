/*===- runtime.c - what a library does around its two steps ---------------------===*\
|*
|* Compiled to bitcode when Nibble is built, for each architecture; LibraryModule.cpp adds one model's constants and gives
|* the functions `nibble_lib_X` the name `<model>_X`. What each function promises is said once, in the header that
|* LibraryHeader.cpp writes.
|*
|* No global that changes: everything is in the handle, so any number of networks live side by side.
|*
\*===----------------------------------------------------------------------===*/
#include "network.h"

/*===- Sizes and tables ---------------------------------------------------------===*/

API size_t nibble_lib_alignment(void) { return ALIGNMENT; }
API size_t nibble_lib_state_size(void) { return aligned(MODEL.state_bytes) + SLACK; }

API size_t nibble_lib_workspace_size(void) {
  return aligned(sizeof(struct network)) + aligned(MODEL.arena_bytes) + aligned(MODEL.x_bytes) + aligned(MODEL.answer_bytes) +
         aligned(MODEL.report_count * sizeof(float)) + aligned(MODEL.eval_report_count * sizeof(float)) + aligned(MODEL.output_bytes) +
         SLACK;
}

API const struct nibble_lib_tensor *nibble_lib_inputs(size_t *count) { return *count = MODEL.input_count, MODEL.inputs; }
API const struct nibble_lib_tensor *nibble_lib_outputs(size_t *count) { return *count = MODEL.output_count, MODEL.outputs; }
API const struct nibble_lib_tensor *nibble_lib_parameters(size_t *count) { return *count = MODEL.parameter_count, MODEL.parameters; }
API const struct nibble_lib_tensor *nibble_lib_state_tensors(size_t *count) { return *count = MODEL.state_count, MODEL.state; }
API const char *const *nibble_lib_report_names(size_t *count) { return *count = MODEL.report_count, MODEL.report_names; }

API const char *nibble_lib_error_text(int error) {
  switch (error) {
  case OK: return "no error";
  case NONFINITE: return "the loss, a gradient or a quantizer's input is NaN or infinite; nothing was changed. "
                         "A smaller learning rate usually helps";
  case BAD_ARGUMENT: return "an argument is null, not aligned, or out of its range";
  case BAD_LABEL: return "a label is below 0, or not below the number of classes";
  case NO_MEMORY: return "memory cannot be allocated";
  case WRONG_PROCESSOR: return MODEL.error_wrong_processor;
  case CANNOT_OPEN: return "the file cannot be opened for reading";
  case CANNOT_WRITE: return "the file cannot be written (folder, permission or space); a file of that name is as it was";
  case NOT_A_STATE: return "the file is not a state that a library of Nibble saved";
  case OTHER_VERSION: return "the file is a state in a format of another version";
  case OTHER_MODEL: return "the file is the state of another model, or of this one compiled with other options";
  case DAMAGED: return "the file is cut off or damaged";
  }
  return "not an error of this library";
}

/*===- The processor ------------------------------------------------------------===*/

#if defined(__x86_64__)
static void cpuid(uint32_t leaf, uint32_t subleaf, uint32_t registers[4]) {
  __asm__ volatile("cpuid"
                   : "=a"(registers[0]), "=b"(registers[1]), "=c"(registers[2]), "=d"(registers[3])
                   : "a"(leaf), "c"(subleaf));
}

/* Registers that the operating system saves; nothing where it has no say (CPUID.1:ECX.OSXSAVE). */
static uint32_t enabled_registers(void) {
  uint32_t registers[4], low, high;
  cpuid(1, 0, registers);
  if (!(registers[2] >> 27 & 1))
    return 0;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return low;
}

static int has(const struct nibble_lib_feature *feature) {
  uint32_t registers[4];
  cpuid(feature->leaf & 0x80000000u, 0, registers); /* the largest leaf of this kind */
  if (registers[0] < feature->leaf)
    return 0;
  cpuid(feature->leaf, feature->subleaf, registers);
  if (!(registers[feature->place] >> feature->bit & 1))
    return 0;
  return !feature->enabled || (enabled_registers() & feature->enabled) == feature->enabled;
}
#else
static int has(const struct nibble_lib_feature *feature) { return getauxval(feature->leaf) >> feature->bit & 1; }
#endif

API const char *nibble_lib_missing_feature(void) {
  for (size_t i = 0; i < MODEL.feature_count; ++i)
    if (!has(&MODEL.features[i]))
      return MODEL.features[i].name;
  return 0;
}

/*===- From init to free --------------------------------------------------------===*/

API int nibble_lib_reset(struct network *net) {
  if (!net)
    return BAD_ARGUMENT;
  memset(net->state, 0, nibble_lib_state_size());
  for (size_t i = 0; i < MODEL.initial_count; ++i) {
    const struct nibble_lib_initial *from = &MODEL.initial[i];
    for (size_t at = 0; at < from->bytes; at += from->unit)
      memcpy(net->state + from->offset + at, from->data, from->unit);
  }
  net->steps = 0;
  return OK;
}

API void nibble_lib_free(struct network *net) {
  if (!net)
    return;
  void *workspace = net->own_workspace; /* the handle lies in the workspace */
  free(net->own_state);
  free(workspace);
}

static int is_aligned(const void *memory) { return (uintptr_t)memory % ALIGNMENT == 0; }

/* Cuts the workspace up; the handle is its first part. */
static struct network *divide(char *workspace) {
  memset(workspace, 0, nibble_lib_workspace_size());
  struct network *net = (struct network *)workspace;
  char *at = workspace + aligned(sizeof *net);
  net->arena = at, at += aligned(MODEL.arena_bytes);
  net->x = at, at += aligned(MODEL.x_bytes);
  net->answers = at, at += aligned(MODEL.answer_bytes);
  net->report = (float *)at, at += aligned(MODEL.report_count * sizeof(float));
  net->eval_report = (float *)at, at += aligned(MODEL.eval_report_count * sizeof(float));
  net->output = at;
  return net;
}

API int nibble_lib_init(struct network **result, void *state, void *workspace, int threads, uint64_t seed) {
  if (!result)
    return BAD_ARGUMENT;
  *result = 0;
  if (threads < 0 || threads > 1024 || !is_aligned(state) || !is_aligned(workspace))
    return BAD_ARGUMENT;
  if (nibble_lib_missing_feature())
    return WRONG_PROCESSOR;
  void *own_state = 0, *own_workspace = 0;
  if (!state)
    state = own_state = aligned_alloc(ALIGNMENT, nibble_lib_state_size());
  if (state && !workspace)
    workspace = own_workspace = aligned_alloc(ALIGNMENT, nibble_lib_workspace_size());
  if (!state || !workspace) {
    free(own_state);
    return NO_MEMORY;
  }
  struct network *net = divide(workspace);
  net->state = state;
  net->own_state = own_state;
  net->own_workspace = own_workspace;
  net->threads = threads ? threads : get_nprocs();
  net->seed = seed;
  nibble_lib_reset(net);
  *result = net;
  return OK;
}

API void *nibble_lib_state(struct network *net) { return net ? net->state : 0; }
API uint64_t nibble_lib_steps(const struct network *net) { return net ? net->steps : 0; }
API const float *nibble_lib_report(const struct network *net) { return net ? net->report : 0; }

API int nibble_lib_set_steps(struct network *net, uint64_t steps) {
  if (!net || steps > INT64_MAX)
    return BAD_ARGUMENT;
  net->steps = steps;
  return OK;
}

/*===- Steps --------------------------------------------------------------------===*/

/* Copies `rows` rows; a batch that is not full repeats them, as the trainer does. */
static void fill(char *to, const void *from, size_t bytes, size_t rows) {
  size_t row = bytes / MODEL.rows;
  memcpy(to, from, rows * row);
  for (size_t i = rows; i < MODEL.rows; ++i)
    memcpy(to + i * row, to + (i - rows) * row, row);
}

static int load_batch(struct network *net, const float *x, const void *answers, int rows) {
  if (!net || !x || !answers || rows < 1 || (size_t)rows > MODEL.rows)
    return BAD_ARGUMENT;
  size_t labels = MODEL.classes > 0 ? MODEL.answer_bytes / sizeof(int32_t) / MODEL.rows * (size_t)rows : 0;
  for (size_t i = 0; i < labels; ++i) /* a label is used as an address */
    if (((const int32_t *)answers)[i] < 0 || ((const int32_t *)answers)[i] >= MODEL.classes)
      return BAD_LABEL;
  fill(net->x, x, MODEL.x_bytes, (size_t)rows);
  fill(net->answers, answers, MODEL.answer_bytes, (size_t)rows);
  return OK;
}

API int nibble_lib_train_step(struct network *net, const float *x, const void *answers, double rate, float *loss, int64_t *correct) {
  int error = load_batch(net, x, answers, (int)MODEL.rows);
  if (error)
    return error;
  int64_t step = (int64_t)net->steps; /* numbers the random bits; Adam counts updates, from 1 */
  int code = nibble_lib_train_code(net->state, net->arena, net->x, net->answers, rate, step / MODEL.micro_batches + 1,
                                   (int64_t)net->seed, step, net->report, net->threads);
  if (loss)
    *loss = net->report[0];
  if (correct)
    *correct = MODEL.classes > 0 ? (int64_t)net->report[1] : 0;
  if (code)
    return NONFINITE;
  ++net->steps;
  return OK;
}

static int evaluate(struct network *net, int rows, float *loss_sum, int64_t *correct, float *output) {
  nibble_lib_eval_code(net->state, net->arena, net->x, net->answers, rows, net->eval_report, net->output, net->threads);
  if (loss_sum)
    *loss_sum = net->eval_report[0];
  if (correct)
    *correct = MODEL.classes > 0 ? (int64_t)net->eval_report[1] : 0;
  if (output)
    memcpy(output, net->output, MODEL.output_bytes / MODEL.rows * (size_t)rows);
  return OK;
}

API int nibble_lib_eval_step(struct network *net, const float *x, const void *answers, int rows, float *loss_sum, int64_t *correct,
                             float *output) {
  int error = load_batch(net, x, answers, rows);
  return error ? error : evaluate(net, rows, loss_sum, correct, output);
}

API int nibble_lib_predict(struct network *net, const float *x, int rows, float *output) {
  if (!net || !x || !output || rows < 1 || (size_t)rows > MODEL.rows)
    return BAD_ARGUMENT;
  fill(net->x, x, MODEL.x_bytes, (size_t)rows);
  memset(net->answers, 0, MODEL.answer_bytes);
  return evaluate(net, rows, 0, 0, output);
}
