//===- ReportSections.h - Parts of the page -----------------------*- C++ -*-===//

#ifndef NIBBLE_LIB_RUNTIME_REPORTSECTIONS_H
#define NIBBLE_LIB_RUNTIME_REPORTSECTIONS_H

#include "nibble/Runtime/RunHistory.h"

#include <string>

namespace nibble::runtime::report {

/// More rows than this stand closer together.
inline constexpr size_t manyRows = 16;

// Each is empty where the log has nothing for it.
std::string tilesOf(const RunHistory &run);
std::string curvesOf(const RunHistory &run, const RunHistory *baseline);
/// A row a layer: underflow, saturation, scale, and gain and SQNR where the log has them.
std::string layersOf(const RunHistory &run);
/// The table of bits.
std::string bitsOf(const ModelSummary &model);
/// Time and memory, recipe and command line, notes.
std::string factsOf(const RunHistory &run);

} // namespace nibble::runtime::report

#endif // NIBBLE_LIB_RUNTIME_REPORTSECTIONS_H
