//===- RunIdentity.cpp - What a run is, as far as the trainer knows
//----------------------------===//

#include "RunIdentity.h"

#include "CheckpointText.h"
#include "Hash.h"

#include <charconv>

using namespace nibble;
using namespace nibble::runtime;

/// Shortest text that reads back as the same double.
static std::string number(double value) {
  char text[32];
  auto [end, code] = std::to_chars(text, text + sizeof text, value);
  return std::string(text, end);
}

static std::string hashOf(const DataSet &set) {
  Hash hash;
  hash.add(static_cast<uint64_t>(set.x.type));
  hash.add(std::span(set.x.bytes));
  hash.add(std::as_bytes(std::span(set.labels)));
  hash.add(std::span(set.targets.bytes));
  return hash.text();
}

static void addSet(RunFields &fields, const std::string &prefix,
                   const std::optional<DataSet> &set) {
  if (!set) {
    fields.emplace_back(prefix + ".samples", "0");
    return;
  }
  fields.emplace_back(prefix + ".samples", std::to_string(set->size()));
  fields.emplace_back(prefix + ".sample_shape", formatShape(set->sampleShape()));
  fields.emplace_back(prefix + ".hash", hashOf(*set));
}

void nibble::runtime::addDataFields(RunFields &fields, const DataPair &data,
                                    const Normalization &normalization, uint64_t seed) {
  fields.emplace_back("seed", std::to_string(seed));
  addSet(fields, "data", data.train);
  addSet(fields, "validation", data.validation);
  fields.emplace_back("normalize", text::toText(normalization));
}

RunFields nibble::runtime::loopOptions(const TrainOptions &options) {
  const char *schedule = options.schedule == numerics::ScheduleKind::Constant ? "constant"
                         : options.schedule == numerics::ScheduleKind::Step   ? "step"
                                                                              : "cosine";
  return {{"epochs", std::to_string(options.epochs)},
          {"lr", number(options.lr)},
          {"schedule", schedule},
          {"warmup", std::to_string(options.warmup)},
          {"step-size", std::to_string(options.stepSize)},
          {"gamma", number(options.gamma)},
          {"augment", (options.augment.flip ? "flip" : "") + std::string(options.augment.flip && options.augment.crop ? "," : "") +
                          (options.augment.crop ? "crop=" + std::to_string(options.augment.crop) : "")},
          {"early-stop", std::to_string(options.earlyStop)}};
}
