//===- TrainOptions.cpp - Options of the training loop ---------------------------------===//

#include "nibble/Runtime/TrainOptions.h"

#include <algorithm>
#include <charconv>

using namespace nibble;
using namespace nibble::runtime;

namespace {

Status expected(std::string_view name, std::string_view what, std::string_view found) {
  return Status::error("--" + std::string(name) + ": " + std::string(what) + " expected, found '" +
                       std::string(found) + "'");
}

template <typename T>
Status parseNumber(std::string_view name, std::string_view value, T low, T high,
                   std::string_view what, T &to) {
  T number{};
  auto [end, code] = std::from_chars(value.data(), value.data() + value.size(), number);
  bool good =
      code == std::errc() && end == value.data() + value.size() && number >= low && number <= high;
  if (!good)
    return expected(name, what, value);
  to = number;
  return Status::success();
}

constexpr int64_t manySteps = int64_t(1) << 40;
constexpr double largestDouble = 1e30;

Status setSchedule(TrainOptions &options, std::string_view value) {
  if (value == "constant")
    options.schedule = numerics::ScheduleKind::Constant;
  else if (value == "step")
    options.schedule = numerics::ScheduleKind::Step;
  else if (value == "cosine")
    options.schedule = numerics::ScheduleKind::Cosine;
  else
    return expected("schedule", "constant, step or cosine", value);
  return Status::success();
}

template <bool TrainOptions::*field>
Status setSwitch(TrainOptions &options, std::string_view name, std::string_view value) {
  if (value != "" && value != "true" && value != "false")
    return expected(name, "true or false", value);
  options.*field = value != "false";
  return Status::success();
}

template <std::string TrainOptions::*field>
Status setText(TrainOptions &options, std::string_view value) {
  options.*field = std::string(value);
  return Status::success();
}

using Options = TrainOptions;
using Value = std::string_view;

const OptionInfo table[] = {
    {"data", "PATH", "training data: IDX folder, CIFAR-10 folder, .npz or .csv", setText<&Options::data>},
    {"val", "PATH", "validation data (default: the test part of --data)", setText<&Options::val>},
    {"normalize", "none|unit|auto|MEAN,STD",
     "what is done to samples; MEAN,STD apply after division by 255 (default: unit for byte "
     "images, none "
     "for .npz)",
     setText<&Options::normalize>},
    {"label-column", "NAME|N",
     "columns of a .csv file with the answers, by name or number from 1, joined by commas (default: the last)",
     setText<&Options::labelColumn>},
    {"augment", "flip,crop", "mirror training images at random, and move them by up to 4 pixels (crop=N: by N)",
     [](Options &o, Value v) {
       Result<Augmentation> parsed = Augmentation::parse(std::string(v));
       if (!parsed)
         return parsed.status();
       o.augment = *parsed;
       return Status::success();
     }},
    {"early-stop", "EPOCHS", "end the run after so many epochs without a better validation score (default: never)",
     [](Options &o, Value v) {
       return parseNumber<int64_t>("early-stop", v, 0, 1000000, "a whole number from 0", o.earlyStop);
     }},
    {"epochs", "N", "passes over the training data",
     [](Options &o, Value v) {
       return parseNumber<int64_t>("epochs", v, 1, 1000000, "a whole number from 1", o.epochs);
     }},
    {"lr", "RATE", "learning rate",
     [](Options &o, Value v) {
       return parseNumber("lr", v, 0.0, largestDouble, "a number from 0", o.lr);
     }},
    {"schedule", "constant|step|cosine", "how the learning rate changes; cosine falls to 0",
     setSchedule},
    {"warmup", "STEPS", "updates of linear warm-up",
     [](Options &o, Value v) {
       return parseNumber<int64_t>("warmup", v, 0, manySteps, "a whole number from 0", o.warmup);
     }},
    {"step-size", "STEPS",
     "updates between two falls of the step schedule (default: a third of all)",
     [](Options &o, Value v) {
       return parseNumber<int64_t>("step-size", v, 1, manySteps, "a whole number from 1",
                                   o.stepSize);
     }},
    {"gamma", "FACTOR", "factor of each fall of the step schedule",
     [](Options &o, Value v) {
       return parseNumber("gamma", v, 0.0, largestDouble, "a number from 0", o.gamma);
     }},
    {"seed", "N", "seed of everything random",
     [](Options &o, Value v) {
       return parseNumber<uint64_t>("seed", v, 0, UINT64_MAX, "a whole number from 0", o.seed);
     }},
    {"log", "FILE", "JSON lines: a record for each step and epoch", setText<&Options::log>},
    {"log-layers-every", "STEPS",
     "steps between two records of the layers' health in the log (0: epochs only)",
     [](Options &o, Value v) {
       return parseNumber<int64_t>("log-layers-every", v, 0, manySteps, "a whole number from 0",
                                   o.logLayersEvery);
     }},
    {"eval-only", "", "no training, only the validation score",
     [](Options &o, Value v) { return setSwitch<&Options::evalOnly>(o, "eval-only", v); }},
    {"checkpoint", "FILE", "with --eval-only: score the state of this checkpoint",
     setText<&Options::checkpoint>},
    {"checkpoint-every", "STEPS", "steps between two checkpoints (default: one after each epoch)",
     [](Options &o, Value v) {
       return parseNumber<int64_t>("checkpoint-every", v, 1, manySteps, "a whole number from 1",
                                   o.checkpointEvery);
     }},
    {"keep-checkpoints", "N",
     "how many of the newest DIR/checkpoints to keep besides step 0; 0: all (default: 3)",
     [](Options &o, Value v) {
       return parseNumber<int64_t>("keep-checkpoints", v, 0, manySteps, "a whole number from 0",
                                   o.keepCheckpoints);
     }},
    {"resume", "[FILE]",
     "go on from DIR/last.safetensors (begin, where there is none yet), or from --resume=FILE",
     [](Options &o, Value v) {
       o.resume = true;
       o.resumeFile = std::string(v);
       return Status::success();
     }},
    {"overwrite", "", "discard the run that DIR holds",
     [](Options &o, Value v) { return setSwitch<&Options::overwrite>(o, "overwrite", v); }},
};

} // namespace

std::span<const OptionInfo> nibble::runtime::trainOptionTable() { return table; }

Status nibble::runtime::setTrainOption(TrainOptions &options, std::string_view name,
                                       std::string_view value) {
  for (const OptionInfo &option : table)
    if (option.name == name)
      return option.set(options, value);
  return Status::error("unknown option --" + std::string(name));
}

double nibble::runtime::learningRate(const TrainOptions &options, int64_t step,
                                     int64_t totalSteps) {
  numerics::LearningRate rate;
  rate.kind = options.schedule;
  rate.base = options.lr;
  rate.gamma = options.gamma;
  rate.warmup = options.warmup;
  rate.total = totalSteps;
  int64_t third = std::max<int64_t>(1, (totalSteps - options.warmup) / 3);
  rate.stepSize = options.stepSize > 0 ? options.stepSize : third;
  return rate.at(step);
}
