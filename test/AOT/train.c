/* Trains on a file of batches (numbers of x, then labels, batch after batch): train BATCHES STATE [THREADS [LEARNING-RATE]] */
#include "tiny.h"

#include <stdio.h>
#include <stdlib.h>

static float x[TINY_X_SIZE];
static int32_t labels[TINY_ANSWER_SIZE];

int main(int argc, char **argv) {
  if (argc < 3)
    return fprintf(stderr, "usage: train BATCHES STATE [THREADS [LEARNING-RATE]]\n"), 2;
  FILE *batches = fopen(argv[1], "rb");
  if (!batches)
    return perror(argv[1]), 1;

  tiny_network *network;
  int error = tiny_init(&network, NULL, NULL, argc > 3 ? atoi(argv[3]) : 1, /*seed=*/0);
  double rate = argc > 4 ? atof(argv[4]) : 0.02;
  while (!error && fread(x, sizeof x, 1, batches) && fread(labels, sizeof labels, 1, batches)) {
    float loss = 0;
    int64_t correct = 0;
    error = tiny_train_step(network, x, labels, rate, &loss, &correct);
    printf("step %d  loss %.9g  right %d of %d\n", (int)tiny_steps(network), loss, (int)correct, TINY_ROWS);
  }
  if (!error)
    error = tiny_save(network, argv[2]);
  if (error)
    fprintf(stderr, "train: %s\n", tiny_error_text(error));
  tiny_free(network);
  return error != TINY_OK;
}
