//===- PeakRate.h - what the processor multiplies and reads at best ---*- C++ -*-===//
//
// The one measurement of the machine's limits: shares of --profile, of nibble-products and of
// nibble-quantizers refer to it. The loops are compiled as products are, for the same machine.
//
// The clock is the processor time of the calling thread (CLOCK_THREAD_CPUTIME_ID), the best of
// eight runs of a fraction of a millisecond each (reading: of one pass or more): what else runs on
// the machine is left out, but for caches, memory and a lower clock frequency that others cause.
// Where steps or products are timed by the wall on a busy machine, shares come out too small.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "nibble/Target/Machine.h"

namespace nibble {

/// The instructions that products are made of; of bf16, what other programs' products are made of.
enum class ProductUnit { F32, Bf16, Pairs16, Quads8 };

/// Operations (two a multiply-add) a second of one thread that does nothing but `unit` on
/// registers, with the instructions that `machine` has; 0 where it has none of its own or cannot
/// run here. Takes about 20 ms, most of it for compiling.
double measurePeak(const Machine &machine, ProductUnit unit);

/// Processor time of the calling thread, in seconds: the clock of both measurements.
double threadSeconds();

/// Bytes a second of one thread that reads a buffer of `bytes` from front to back, again and again,
/// with the machine's vectors; 0 where it cannot run here.
double measureRead(const Machine &machine, int64_t bytes);

} // namespace nibble
