//===- CheckpointFolder.cpp - Where a run keeps its checkpoints ----------------------------===//

#include "nibble/Runtime/CheckpointFolder.h"

#include "AtomicFile.h"
#include "FolderLock.h"
#include "Support.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <unistd.h>

using namespace nibble;
using namespace nibble::runtime;

namespace fs = std::filesystem;

namespace {

constexpr std::string_view extension = ".safetensors", stepPrefix = "step-";

/// "step-000120.safetensors"
std::string stepName(int64_t step) {
  std::string digits = std::to_string(step);
  if (digits.size() < 6)
    digits.insert(0, 6 - digits.size(), '0');
  return std::string(stepPrefix) + digits + std::string(extension);
}

/// The inverse; nothing for other names.
std::optional<int64_t> stepOf(const std::string &name) {
  if (!name.starts_with(stepPrefix) || !name.ends_with(extension) ||
      name.size() <= stepPrefix.size() + extension.size())
    return std::nullopt;
  const char *begin = name.data() + stepPrefix.size(),
             *end = name.data() + name.size() - extension.size();
  int64_t step = 0;
  auto [stopped, code] = std::from_chars(begin, end, step);
  return code == std::errc() && stopped == end && step >= 0 ? std::optional(step) : std::nullopt;
}

bool exists(const std::string &path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

Status removeFile(const std::string &path) {
  std::error_code wrong;
  fs::remove(path, wrong);
  return wrong ? fileError(path, "cannot be removed: " + wrong.message()) : Status::success();
}

Status makeFolder(const std::string &folder) {
  std::error_code wrong;
  fs::create_directories(folder, wrong);
  return wrong ? fileError(folder, "the folder cannot be made: " + wrong.message())
               : Status::success();
}

} // namespace

struct CheckpointFolder::State {
  std::string folder;
  CheckpointFolderOptions options;
  FolderLock lock;
  std::optional<Checkpoint> checkpoint;
  /// The step of the state that `last` names; -1: none.
  int64_t lastStep = -1;

  std::string inFolder(const std::string &name) const { return folder + "/" + name; }
  std::string stepFolder() const { return inFolder("checkpoints"); }
  std::string stepPath(int64_t step) const { return stepFolder() + "/" + stepName(step); }
  std::string last() const { return inFolder("last.safetensors"); }
  std::string best() const { return inFolder("best.safetensors"); }

  std::vector<int64_t> steps() const;
  bool holdsRun() const;
  bool isInside(const std::string &file) const;
  Status prepare();
  Status read(const std::string &file);
  Status resumeLast();
  Status resumeFile();
  Status removeParts();
  Status discardAll();
  Status goBack(const std::string &file);
  Status putBestBack();
  Status prune();
  std::string stillGood() const;
};

//===----------------------------------------------------------------------===//
// Looking
//===----------------------------------------------------------------------===//

/// Steps of the files in checkpoints/, rising.
std::vector<int64_t> CheckpointFolder::State::steps() const {
  std::vector<int64_t> found;
  std::error_code wrong;
  for (fs::directory_iterator it(stepFolder(), wrong), end; !wrong && it != end;
       it.increment(wrong))
    if (std::optional<int64_t> step = stepOf(it->path().filename().string()))
      found.push_back(*step);
  std::sort(found.begin(), found.end());
  return found;
}

bool CheckpointFolder::State::holdsRun() const {
  return exists(last()) || exists(best()) || exists(inFolder("model.onnx")) || !steps().empty();
}

/// Whether `file` lies in this folder or in its checkpoints/.
bool CheckpointFolder::State::isInside(const std::string &file) const {
  std::error_code wrong;
  fs::path parent = fs::weakly_canonical(file, wrong).parent_path();
  return parent == fs::weakly_canonical(folder, wrong) ||
         parent == fs::weakly_canonical(stepFolder(), wrong);
}

Status CheckpointFolder::State::prepare() {
  if (Status status = makeFolder(folder); !status)
    return status;
  Result<FolderLock> taken = FolderLock::take(folder);
  if (!taken)
    return taken.status();
  lock = std::move(*taken);
  if (!options.resumeFile.empty())
    return resumeFile();
  if (options.resume)
    return resumeLast();
  if (holdsRun() && !options.overwrite)
    return fileError(folder, "holds a run already. --resume goes on with it, --overwrite discards "
                             "it; or choose another --out");
  return Status::success();
}

//===----------------------------------------------------------------------===//
// Resuming
//===----------------------------------------------------------------------===//

Status CheckpointFolder::State::read(const std::string &file) {
  Result<Checkpoint> loaded = loadCheckpoint(file);
  if (!loaded)
    return loaded.status();
  checkpoint = std::move(*loaded);
  return Status::success();
}

Status CheckpointFolder::State::resumeLast() {
  std::vector<int64_t> saved = steps();
  std::string file = last();
  if (!exists(file) && !saved.empty())
    file = stepPath(saved.back()); // a crash before `last` was first made, or somebody removed it
  if (!exists(file))
    return Status::success(); // nothing was saved yet: begin
  Status status = read(file);
  if (!status && file == last() && !saved.empty())
    return Status::error(status.message() + ". Older checkpoints are in " + stepFolder() +
                         ": --resume=FILE --overwrite goes back to one of them");
  return status;
}

Status CheckpointFolder::State::resumeFile() {
  if (Status status = read(options.resumeFile); !status)
    return status;
  if (options.overwrite || !holdsRun())
    return Status::success();
  if (!isInside(options.resumeFile))
    return fileError(folder, "holds another run than " + options.resumeFile +
                                 ". --overwrite discards it; or choose another --out");
  std::vector<int64_t> saved = steps();
  int64_t newest = saved.empty() ? -1 : saved.back();
  if (Result<Checkpoint> header = loadCheckpointHeader(last()))
    newest = std::max(newest, header->progress.step);
  if (newest > checkpoint->progress.step)
    return fileError(folder, "has gone on to step " + std::to_string(newest) + ", and " +
                                 options.resumeFile + " is of step " +
                                 std::to_string(checkpoint->progress.step) +
                                 ". --overwrite discards what came after it; or choose another "
                                 "--out");
  return Status::success();
}

//===----------------------------------------------------------------------===//
// Beginning
//===----------------------------------------------------------------------===//

/// What a killed process left half-written. (Nobody else writes here: we hold the lock.)
Status CheckpointFolder::State::removeParts() {
  for (const std::string &name : {folder, stepFolder()}) {
    std::error_code wrong;
    for (fs::directory_iterator it(name, wrong), end; !wrong && it != end; it.increment(wrong)) {
      std::string file = it->path().filename().string();
      if (file.ends_with(std::string(extension) + partSuffix))
        if (Status status = removeFile(it->path().string()); !status)
          return status;
    }
  }
  return Status::success();
}

/// `last` goes first: without it, what remains of a crash here is begun anew or overwritten.
Status CheckpointFolder::State::discardAll() {
  for (const std::string &file : {last(), best()})
    if (Status status = removeFile(file); !status)
      return status;
  for (int64_t step : steps())
    if (Status status = removeFile(stepPath(step)); !status)
      return status;
  return Status::success();
}

/// `best` may be of an epoch that has not been from now on. If the file of the best epoch is gone,
/// the next better epoch replaces it.
Status CheckpointFolder::State::putBestBack() {
  Result<Checkpoint> now = loadCheckpointHeader(best());
  if (!now || now->progress.step <= checkpoint->progress.step)
    return Status::success();
  std::string file = stepPath(checkpoint->progress.bestStep);
  if (checkpoint->progress.best && exists(file))
    return linkAtomically(file, best());
  return Status::success();
}

/// The folder as it was when `file` was its last checkpoint. `last` goes first: from then on a
/// crash does no harm.
Status CheckpointFolder::State::goBack(const std::string &file) {
  std::error_code wrong;
  if (!fs::equivalent(file, last(), wrong))
    if (Status status = linkAtomically(file, last()); !status)
      return status;
  lastStep = checkpoint->progress.step;
  if (Status status = putBestBack(); !status)
    return status;
  for (int64_t step : steps())
    if (step > lastStep)
      if (Status status = removeFile(stepPath(step)); !status)
        return status;
  return Status::success();
}

Status CheckpointFolder::begin(Step &step) {
  return guarded(state->folder, [&]() -> Status {
    State &s = *state;
    if (Status status = makeFolder(s.stepFolder()); !status)
      return status;
    if (Status status = s.removeParts(); !status)
      return status;
    if (s.checkpoint)
      s.checkpoint->state = {}; // the step has it now
    if (s.checkpoint && s.isInside(s.checkpoint->path))
      return s.goBack(s.checkpoint->path);
    if (Status status = s.discardAll(); !status)
      return status;
    if (!s.checkpoint)
      return Status::success();
    // From another folder: its state is this run's first.
    const RunProgress &progress = s.checkpoint->progress;
    return save(*s.checkpoint, step, progress.best && progress.bestStep == progress.step);
  });
}

//===----------------------------------------------------------------------===//
// Saving
//===----------------------------------------------------------------------===//

Status CheckpointFolder::State::prune() {
  std::vector<int64_t> saved = steps();
  std::erase(saved, 0);
  size_t keep = static_cast<size_t>(options.keep);
  for (size_t i = 0; options.keep > 0 && i + keep < saved.size(); ++i)
    if (Status status = removeFile(stepPath(saved[i])); !status)
      return status;
  return Status::success();
}

std::string CheckpointFolder::State::stillGood() const {
  if (lastStep < 0)
    return "";
  return "\nthe state of step " + std::to_string(lastStep) + " is safe in " + last() +
         "; --resume goes on from there";
}

Status CheckpointFolder::save(const Checkpoint &checkpoint, Step &step, bool isBest) {
  State &s = *state;
  Status status = guarded(s.folder, [&]() -> Status {
    std::string file = s.stepPath(checkpoint.progress.step);
    if (Status status = saveCheckpoint(file, checkpoint, step); !status)
      return status;
    if (isBest)
      if (Status status = linkAtomically(file, s.best()); !status)
        return status;
    if (Status status = linkAtomically(file, s.last()); !status)
      return status;
    s.lastStep = checkpoint.progress.step;
    return s.prune();
  });
  return status ? status : Status::error(status.message() + s.stillGood());
}

//===----------------------------------------------------------------------===//
// The door
//===----------------------------------------------------------------------===//

CheckpointFolder::CheckpointFolder(std::unique_ptr<State> state) : state(std::move(state)) {}
CheckpointFolder::CheckpointFolder(CheckpointFolder &&) noexcept = default;
CheckpointFolder &CheckpointFolder::operator=(CheckpointFolder &&) noexcept = default;
CheckpointFolder::~CheckpointFolder() = default;

Result<CheckpointFolder> CheckpointFolder::open(const std::string &folder,
                                                const CheckpointFolderOptions &options) {
  return guarded(folder, [&]() -> Result<CheckpointFolder> {
    auto state = std::make_unique<State>();
    state->folder = folder;
    state->options = options;
    if (Status status = state->prepare(); !status)
      return status;
    return CheckpointFolder(std::move(state));
  });
}

const Checkpoint *CheckpointFolder::resumed() const {
  return state->checkpoint ? &*state->checkpoint : nullptr;
}

std::string CheckpointFolder::lastPath() const { return state->last(); }
