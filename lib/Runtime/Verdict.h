//===- Verdict.h - Does training in four bits work here? ----------*- C++ -*-===//
//
// What a log says, judged by fixed bounds. Measures of layers are means over the last quarter of
// the records, of the output gradient's codes. In healthy runs of the zoo's networks the
// logarithmic grids make 30 to 95 % of the codes zero (zeros that ReLU and pooling make included)
// and INT4 up to 99 %; at most a few elements in a thousand are at the grid's top.
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_LIB_RUNTIME_VERDICT_H
#define NIBBLE_LIB_RUNTIME_VERDICT_H

#include "nibble/Runtime/RunHistory.h"

namespace nibble::runtime {

enum class Mood { Good, Watch, Bad, Plain };
/// "good", "watch", "bad", "plain".
const char *name(Mood mood);

/// At least this share of zeros.
inline constexpr double underflowWatch = 0.98, underflowBad = 0.998;
/// At least this share held at the grid's top.
inline constexpr double saturationWatch = 0.05, saturationBad = 0.20;
/// ⟨Q(g),g⟩/⟨g,g⟩ outside of these.
inline constexpr double gainLowest = 0.5, gainHighest = 1.5;
/// Percentage points of accuracy below the float run.
inline constexpr double gapWatch = 1.0, gapBad = 5.0;

struct Finding {
  Mood mood = Mood::Watch;
  /// Empty: the whole run.
  std::string layer;
  std::string what, whatToTry;
};

struct Verdict {
  Mood mood = Mood::Plain;
  std::string headline;
  /// A sentence or two.
  std::string text;
  std::vector<Finding> findings;
};

Verdict judge(const RunHistory &run, const RunHistory *baseline);

/// Of one layer alone.
Mood moodOf(const LayerHistory &layer);

/// The share of multiply-adds whose operands have at most `bits`, 0 … 1; nothing without a table.
std::optional<double> shareOfBits(const ModelSummary &model, int64_t bits);

/// "12.3 %", with as many digits as tell it from 0 and 100.
std::string percent(double share);

} // namespace nibble::runtime

#endif // NIBBLE_LIB_RUNTIME_VERDICT_H
