//===- PeakRate.h - what the processor multiplies at best ------------*- C++ -*-===//
#pragma once

#include "nibble/Target/Machine.h"

namespace nibble {

/// The instructions that products are made of.
enum class ProductUnit { F32, Pairs16, Quads8 };

/// Operations (two a multiply-add) a second of one thread that does nothing but `unit` on registers, measured on this processor for
/// about 20 ms with the instructions that `machine` has; 0 where it has none of its own or cannot run here.
double measurePeak(const Machine &machine, ProductUnit unit);

} // namespace nibble
