/*===- network.h - the handle behind a library's functions ---------*- C -*-===*/
#ifndef NIBBLE_TARGET_LIBRARY_NETWORK_H
#define NIBBLE_TARGET_LIBRARY_NETWORK_H

#include "libc.h"
#include "model.h"

#define API __attribute__((visibility("default")))
#define MODEL nibble_lib_model

/* Generated code may read and write whole vectors beyond a buffer's end. */
enum { ALIGNMENT = 128, SLACK = 128 };

/* Numbers as in LibraryHeader.cpp. */
enum {
  OK,
  NONFINITE,
  BAD_ARGUMENT,
  BAD_LABEL,
  NO_MEMORY,
  WRONG_PROCESSOR,
  CANNOT_OPEN,
  CANNOT_WRITE,
  NOT_A_STATE,
  OTHER_VERSION,
  OTHER_MODEL,
  DAMAGED,
};

struct network {
  char *state, *arena, *x, *answers;
  float *report, *eval_report;
  char *output;
  void *own_state, *own_workspace; /* what init allocated, else null */
  uint64_t seed, steps;
  int32_t threads;
};

static size_t aligned(size_t bytes) { return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT; }

#endif
