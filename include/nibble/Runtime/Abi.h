//===- Abi.h - The bridge between generated code and the runtime -*- C++ -*-===//
//
// Two things cross: the symbols of Abi.def (generated code calls out), and the structs below (the
// trainer calls in). Structs are plain C, naturally aligned, little-endian, and grow only at the
// end.
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_RUNTIME_ABI_H
#define NIBBLE_RUNTIME_ABI_H

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace nibble::runtime::abi {

/// Written by one call of a train step: loss and code first, so that a C program can read only
/// these.
struct StepRecord {
  /// Mean loss of the batch.
  float loss;
  /// 0 OK, 1 NONFINITE (StepCode).
  int32_t code;
  /// Rows answered rightly.
  int64_t correct;
};
static_assert(sizeof(StepRecord) == 16 && offsetof(StepRecord, code) == 4 &&
              offsetof(StepRecord, correct) == 8);

/// One for each quantized layer, an array in program order; the names are in the manifest. Counts,
/// so that threads can add them without an order; the runtime divides.
struct HealthRecord {
  /// Elements of the output gradient that were coded.
  int64_t elements;
  /// Elements beyond the grid's top.
  int64_t saturated;
  /// Elements whose code is zero.
  int64_t zeros;
  float scale;
  int32_t reserved;
};
static_assert(sizeof(HealthRecord) == 32 && offsetof(HealthRecord, scale) == 24);

/// Written by one call of an evaluation step.
struct EvalRecord {
  /// Sum of the valid rows' losses.
  double lossSum;
  /// Valid rows answered rightly.
  int64_t correct;
};
static_assert(sizeof(EvalRecord) == 16);

/// Who provides a symbol of the bridge.
enum class Provider : uint8_t { OpenMP, Runtime, LibC };

struct Symbol {
  std::string_view name;
  Provider provider;
  std::string_view prototype;
  std::string_view purpose;
};

/// Abi.def as a table.
std::span<const Symbol> symbols();
/// Whether generated code may leave `name` undefined.
bool isBridgeSymbol(std::string_view name);

} // namespace nibble::runtime::abi

#endif // NIBBLE_RUNTIME_ABI_H
