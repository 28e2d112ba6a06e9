//===- TrainerCheckpoint.cpp - Saving a run and going on -----------------------------------===//

#include "TrainerState.h"

#include "RunIdentity.h"

#include <cmath>

using namespace nibble;
using namespace nibble::runtime;

//===----------------------------------------------------------------------===//
// Going on
//===----------------------------------------------------------------------===//

/// What a checkpoint says about the loop must be possible in this run.
static bool isPossible(const RunProgress &at, int64_t stepsPerEpoch, int64_t batch) {
  int64_t epochs = at.step / stepsPerEpoch;
  if (at.epochsDone > epochs || at.sampler.epoch > epochs || at.bestStep > at.step)
    return false;
  int64_t inEpoch = at.step - at.epochsDone * stepsPerEpoch;
  if (inEpoch > stepsPerEpoch)
    return false;
  // Before a new epoch begins, the sums are those of the one that ended.
  int64_t summed = inEpoch == 0 && at.step > 0 ? stepsPerEpoch : inEpoch;
  // The sampler goes to the next epoch only when the next batch is asked for.
  int64_t inOrder = at.sampler.offset / batch;
  return at.epochSteps == summed && at.sampler.offset % batch == 0 && inOrder <= stepsPerEpoch &&
         at.sampler.epoch * stepsPerEpoch + inOrder == at.step;
}

Status Trainer::State::resume() {
  addDataFields(control.run, data, normalization, options.seed);
  const Checkpoint *checkpoint = control.folder->resumed();
  if (!checkpoint)
    return Status::success();
  if (Status status = checkSameRun(*checkpoint, control.run); !status)
    return status;
  if (!isPossible(checkpoint->progress, stepsPerEpoch, updateSize()))
    return Status::error(checkpoint->path + ": its progress does not fit the data: step " +
                         std::to_string(checkpoint->progress.step) + ", " +
                         std::to_string(stepsPerEpoch) + " steps an epoch");
  if (Status status = restoreState(*checkpoint, control.run, step, Restore::Exactly); !status)
    return status;
  at = checkpoint->progress;
  sampler->seek(at.sampler);
  notes = changedOptions(*checkpoint, loopOptions(options));
  return Status::success();
}

Status Trainer::State::begin() {
  if (!control.folder)
    return Status::success();
  if (Status status = control.folder->begin(step); !status)
    return status;
  if (!control.folder->resumed())
    return save(/*isBest=*/false);
  saved = {at.step, at.epochsDone};
  return Status::success();
}

//===----------------------------------------------------------------------===//
// Saving
//===----------------------------------------------------------------------===//

Status Trainer::State::save(bool isBest) {
  if (!control.folder)
    return Status::success();
  if (Status status = log.sync(); !status)
    return status;
  Checkpoint checkpoint;
  checkpoint.tool = toolVersion();
  checkpoint.run = control.run;
  checkpoint.options = loopOptions(options);
  checkpoint.progress = at;
  checkpoint.progress.sampler = sampler->position();
  checkpoint.progress.logRecords = log.records();
  checkpoint.normalization = normalization;
  if (Status status = control.folder->save(checkpoint, step, isBest); !status)
    return status;
  saved = {at.step, at.epochsDone};
  return Status::success();
}

/// Within an epoch. What falls on its last step waits for the score.
Status Trainer::State::saveIfDue() {
  bool due = options.checkpointEvery > 0 && at.step % options.checkpointEvery == 0 &&
             stepsInEpoch() < stepsPerEpoch;
  return due ? save(/*isBest=*/false) : Status::success();
}

/// Whether the epoch that just ended is the best so far: the higher accuracy, or at equal accuracy
/// (always, without labels) the lower loss.
bool Trainer::State::noteBest() {
  Score score = at.validation ? *at.validation : trainScore();
  bool better = !at.best || score.accuracy > at.best->accuracy ||
                (score.accuracy == at.best->accuracy && score.loss < at.best->loss);
  if (!better || std::isnan(score.loss))
    return false;
  at.best = score;
  at.bestStep = at.step;
  return true;
}

Status Trainer::State::saveEpoch() {
  bool isBest = noteBest();
  bool due = options.checkpointEvery == 0 || at.step % options.checkpointEvery == 0 ||
             at.epochsDone >= options.epochs || isStale();
  return due || isBest ? save(isBest) : Status::success();
}

/// Ends the run by a signal, with a checkpoint of where it stands.
Status Trainer::State::stop() {
  stoppedBy = static_cast<int>(*control.stop);
  bool isSaved = saved && *saved == std::pair(at.step, at.epochsDone);
  return isSaved ? Status::success() : save(/*isBest=*/false);
}
