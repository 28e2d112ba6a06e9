//===- TrainOptions.h - Options of the training loop ------------*- C++ -*-===//
//
// One struct for command line, C++ and Python, and one table that names, explains and parses each
// option: no option is declared twice. Options of other rooms (recipe, optimizer …) live with those
// rooms.
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_RUNTIME_TRAINOPTIONS_H
#define NIBBLE_RUNTIME_TRAINOPTIONS_H

#include "nibble/Numerics/Schedule.h"
#include "nibble/Runtime/Augmentation.h"
#include "nibble/Runtime/Status.h"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace nibble::runtime {

struct TrainOptions {
  /// Training data, and optionally validation data (default: the data's own test part).
  std::string data;
  std::string val;
  /// none | unit | auto | MEAN[,STD]; empty: by the data's origin.
  std::string normalize;
  /// Columns of a .csv file that hold the answers, by name or number from 1; empty: the last one.
  std::string labelColumn;
  /// What is done to training images (Augmentation.h).
  Augmentation augment;
  int64_t epochs = 1;
  double lr = 0.05;
  /// Constant, step or cosine to 0 (Numerics/Schedule.h).
  numerics::ScheduleKind schedule = numerics::ScheduleKind::Cosine;
  /// Updates of linear warm-up, counted in the total; the schedule begins after them.
  int64_t warmup = 0;
  /// Updates between two falls of the `step` schedule; 0 stands for a third of those after the
  /// warm-up.
  int64_t stepSize = 0;
  double gamma = 0.1;
  /// Ends the run after so many epochs in which nothing got better; 0: never.
  int64_t earlyStop = 0;
  /// Seed of the order of samples (and, through the driver, of everything else random).
  uint64_t seed = 0;
  /// JSON lines; empty: none.
  std::string log;
  /// Health of the layers goes into the log every so many steps (and at each epoch's end); 0:
  /// epochs only.
  int64_t logLayersEvery = 10;
  /// No training, only the validation score.
  bool evalOnly = false;
  /// Evaluate the state of this checkpoint; empty: the network's own weights.
  std::string checkpoint;
  /// Updates between two checkpoints; 0: one after each epoch.
  int64_t checkpointEvery = 0;
  /// How many of the newest step files stay, besides step 0; 0: all.
  int64_t keepCheckpoints = 3;
  /// Go on from the last checkpoint of the output folder, or from `resumeFile`.
  bool resume = false;
  std::string resumeFile;
  /// Discard what another run left in the output folder.
  bool overwrite = false;
};

/// One option as a command line shows it.
struct OptionInfo {
  /// Without dashes: "warmup".
  std::string_view name;
  /// "STEPS"; empty for a switch that takes no value; "[FILE]" where the value may be left out.
  std::string_view metavar;
  std::string_view help;
  /// Parses `value` into the field; the error names option, value and what was expected.
  Status (*set)(TrainOptions &options, std::string_view value);
};

/// Every field of TrainOptions, in the order of a help text.
std::span<const OptionInfo> trainOptionTable();

/// Sets one option by name; an unknown name is an error.
Status setTrainOption(TrainOptions &options, std::string_view name, std::string_view value);

/// The learning rate of update `step` (from 0) out of `totalSteps`.
double learningRate(const TrainOptions &options, int64_t step, int64_t totalSteps);

} // namespace nibble::runtime

#endif // NIBBLE_RUNTIME_TRAINOPTIONS_H
