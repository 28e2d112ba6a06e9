/* What a library promises, tried from C. Prints one line for each law that holds; the first that does not ends the program with 1.

   laws BATCHES FOLDER      with the network of the tour as `tiny`, and once more, compiled with another recipe, as `other` */
#include "other.h"
#include "tiny.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STEPS = 12 };
static float x[STEPS][TINY_X_SIZE];
static int32_t labels[STEPS][TINY_ANSWER_SIZE];
static char path[4096], second[4096];

#define HOLDS(condition)                                                                                                       \
  do                                                                                                                           \
    if (!(condition)) {                                                                                                        \
      printf("FAILED, line %d: %s\n", __LINE__, #condition);                                                                   \
      exit(1);                                                                                                                 \
    }                                                                                                                          \
  while (0)

static tiny_network *make(int threads) {
  tiny_network *network = NULL;
  HOLDS(tiny_init(&network, NULL, NULL, threads, 7) == TINY_OK);
  return network;
}

static void train(tiny_network *network, int from, int to) {
  for (int i = from; i < to; ++i)
    HOLDS(tiny_train_step(network, x[i], labels[i], 0.02, NULL, NULL) == TINY_OK);
}

/* The tensors only: what lies between them is nobody's. */
static int same(tiny_network *a, tiny_network *b) {
  size_t count;
  const tiny_tensor *tensors = tiny_state_tensors(&count);
  for (size_t i = 0; i < count; ++i)
    if (memcmp((char *)tiny_state(a) + tensors[i].offset, (char *)tiny_state(b) + tensors[i].offset, tensors[i].bytes) != 0)
      return 0;
  return count > 0 && tiny_steps(a) == tiny_steps(b);
}

static void two_instances(void) {
  tiny_network *a = make(1), *b = make(3), *c = make(0);
  for (int i = 0; i < STEPS; ++i) {
    train(a, i, i + 1);
    train(b, i, i + 1);
  }
  train(c, 0, STEPS);
  HOLDS(same(a, b) && same(a, c));
  tiny_network *fresh = make(1);
  HOLDS(!same(a, fresh) && tiny_reset(a) == TINY_OK && same(a, fresh));
  tiny_free(a), tiny_free(b), tiny_free(c), tiny_free(fresh);
  puts("instances with 1, 3 and all threads, interleaved, make the same bits; reset goes back to the start");
}

static void own_memory(void) {
  void *state = aligned_alloc(tiny_alignment(), tiny_state_size()), *work = aligned_alloc(tiny_alignment(), tiny_workspace_size());
  tiny_network *mine, *theirs = make(1);
  HOLDS(tiny_init(&mine, state, work, 1, 7) == TINY_OK && tiny_state(mine) == state);
  train(mine, 0, 3), train(theirs, 0, 3);
  HOLDS(same(mine, theirs));
  /* A snapshot: the state's bytes and the number of steps. */
  void *copy = malloc(tiny_state_size());
  memcpy(copy, state, tiny_state_size());
  train(mine, 3, 6);
  HOLDS(!same(mine, theirs));
  memcpy(state, copy, tiny_state_size());
  HOLDS(tiny_set_steps(mine, 3) == TINY_OK && same(mine, theirs));
  tiny_free(mine), tiny_free(theirs);
  free(copy), free(state), free(work);
  puts("the caller's memory serves as well; a copy of the state is a snapshot");
}

static void saved_and_loaded(void) {
  tiny_network *a = make(1), *b = make(2);
  train(a, 0, 5);
  HOLDS(tiny_save(a, path) == TINY_OK);
  train(a, 5, STEPS);
  HOLDS(tiny_load(b, path) == TINY_OK && tiny_steps(b) == 5);
  train(b, 5, STEPS);
  HOLDS(same(a, b));
  tiny_free(a), tiny_free(b);
  puts("5 steps, save, load, 7 steps are 12 steps, bit for bit");
}

static char *read_file(const char *name, size_t *bytes) {
  FILE *file = fopen(name, "rb");
  HOLDS(file);
  char *content = malloc(1 << 22);
  *bytes = fread(content, 1, 1 << 22, file);
  fclose(file);
  return content;
}

static void write_file(const char *name, const char *content, size_t bytes) {
  FILE *file = fopen(name, "wb");
  HOLDS(file && fwrite(content, 1, bytes, file) == bytes && fclose(file) == 0);
}

static void damaged_files(void) {
  tiny_network *network = make(1), *before = make(1);
  train(network, 0, 2), train(before, 0, 2);
  size_t bytes;
  char *content = read_file(path, &bytes);
  for (size_t i = 0; i < bytes; i += i < 400 ? 1 : 97) { /* every bit of the file counts */
    content[i] ^= 1 << i % 8;
    write_file(second, content, bytes);
    int error = tiny_load(network, second);
    HOLDS(error >= TINY_NOT_A_STATE && error <= TINY_DAMAGED && same(network, before));
    content[i] ^= 1 << i % 8;
  }
  for (size_t length = 0; length < bytes; length = length * 2 + 1) {
    write_file(second, content, length);
    HOLDS(tiny_load(network, second) >= TINY_NOT_A_STATE && same(network, before));
  }
  content[bytes] = 0;
  write_file(second, content, bytes + 1);
  HOLDS(tiny_load(network, second) == TINY_DAMAGED && same(network, before));
  HOLDS(tiny_load(network, "/nonexistent/file") == TINY_CANNOT_OPEN && tiny_load(network, "/") >= TINY_CANNOT_OPEN);
  HOLDS(tiny_load(network, path) == TINY_OK);
  tiny_free(network), tiny_free(before), free(content);
  puts("a damaged, cut or missing file is an error, and the network is as it was");
}

static void other_models(void) {
  other_network *network;
  HOLDS(other_init(&network, NULL, NULL, 2, 0) == OTHER_OK);
  HOLDS(other_load(network, path) == OTHER_OTHER_MODEL);
  HOLDS(other_train_step(network, x[0], labels[0], 0.02, NULL, NULL) == OTHER_OK);
  HOLDS(other_save(network, "/nonexistent/file") == OTHER_CANNOT_WRITE);
  other_free(network);
  puts("two models live in one program, and one does not take the other's state");
}

static void wrong_arguments(void) {
  tiny_network *network = make(1), *before = make(1), *none = NULL;
  float loss;
  HOLDS(tiny_init(NULL, NULL, NULL, 1, 0) == TINY_BAD_ARGUMENT && tiny_init(&none, NULL, NULL, -1, 0) == TINY_BAD_ARGUMENT);
  HOLDS(tiny_init(&none, (char *)tiny_state(network) + 4, NULL, 1, 0) == TINY_BAD_ARGUMENT && none == NULL);
  HOLDS(tiny_train_step(NULL, x[0], labels[0], 0.02, &loss, NULL) == TINY_BAD_ARGUMENT);
  HOLDS(tiny_train_step(network, NULL, labels[0], 0.02, &loss, NULL) == TINY_BAD_ARGUMENT);
  HOLDS(tiny_eval_step(network, x[0], labels[0], 0, &loss, NULL, NULL) == TINY_BAD_ARGUMENT);
  HOLDS(tiny_eval_step(network, x[0], labels[0], TINY_ROWS + 1, &loss, NULL, NULL) == TINY_BAD_ARGUMENT);
  HOLDS(tiny_save(network, NULL) == TINY_BAD_ARGUMENT && tiny_load(NULL, path) == TINY_BAD_ARGUMENT);
  int32_t wrong[TINY_ANSWER_SIZE] = {0};
  wrong[TINY_ANSWER_SIZE - 1] = TINY_CLASSES;
  HOLDS(tiny_train_step(network, x[0], wrong, 0.02, &loss, NULL) == TINY_BAD_LABEL);
  wrong[TINY_ANSWER_SIZE - 1] = -1;
  HOLDS(tiny_eval_step(network, x[0], wrong, TINY_ROWS, &loss, NULL, NULL) == TINY_BAD_LABEL);
  float nan[TINY_X_SIZE];
  memset(nan, 0xff, sizeof nan);
  HOLDS(tiny_train_step(network, nan, labels[0], 0.02, &loss, NULL) == TINY_NONFINITE);
  HOLDS(same(network, before));
  tiny_free(network), tiny_free(before), tiny_free(NULL);
  for (int error = TINY_OK; error <= TINY_DAMAGED + 1; ++error)
    HOLDS(strlen(tiny_error_text(error)) > 4);
  puts("wrong arguments, wrong labels and NaN are errors with a text, and nothing changes");
}

static void evaluation(void) {
  tiny_network *network = make(1), *before = make(1);
  train(network, 0, 8), train(before, 0, 8);
  float loss = 0, output[TINY_OUTPUT_SIZE], again[TINY_OUTPUT_SIZE];
  int64_t correct = -1, few = -1;
  HOLDS(tiny_eval_step(network, x[8], labels[8], TINY_ROWS, &loss, &correct, output) == TINY_OK);
  HOLDS(loss > 0 && correct >= 0 && correct <= TINY_ROWS);
  HOLDS(tiny_predict(network, x[8], TINY_ROWS, again) == TINY_OK && memcmp(output, again, sizeof output) == 0);
  HOLDS(tiny_eval_step(network, x[8], labels[8], 3, &loss, &few, NULL) == TINY_OK && few >= 0 && few <= 3 && few <= correct);
  HOLDS(same(network, before));
  size_t count;
  const tiny_tensor *parameters = tiny_parameters(&count);
  HOLDS(count > 0 && parameters[0].trained && parameters[0].rank > 0 && parameters[0].offset % tiny_alignment() == 0);
  const tiny_tensor *inputs = tiny_inputs(&count);
  HOLDS(count == 2 && inputs[0].shape[0] == TINY_ROWS && inputs[0].bytes == sizeof x[0] && !strcmp(inputs[1].type, "int32"));
  const char *const *names = tiny_report_names(&count);
  HOLDS(count > 2 && !strcmp(names[0], "loss"));
  tiny_free(network), tiny_free(before);
  puts("evaluation and prediction agree and change nothing; the tables describe what there is");
}

int main(int argc, char **argv) {
  HOLDS(argc == 3);
  FILE *batches = fopen(argv[1], "rb");
  HOLDS(batches);
  for (int i = 0; i < STEPS; ++i)
    HOLDS(fread(x[i], sizeof x[i], 1, batches) && fread(labels[i], sizeof labels[i], 1, batches));
  fclose(batches);
  snprintf(path, sizeof path, "%s/state.safetensors", argv[2]);
  snprintf(second, sizeof second, "%s/damaged.safetensors", argv[2]);
  two_instances();
  own_memory();
  saved_and_loaded();
  damaged_files();
  other_models();
  wrong_arguments();
  evaluation();
  puts("all laws hold");
  return 0;
}
