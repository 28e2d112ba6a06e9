//===- CheckpointFolder.h - Where a run keeps its checkpoints ---*- C++ -*-===//
//
//   DIR/.lock                             one run at a time (flock)
//   DIR/checkpoints/step-000000.safetensors …  the state after so many updates
//   DIR/best.safetensors                  the best epoch so far
//   DIR/last.safetensors                  where --resume goes on
//
// `best` and `last` are further names (hard links; copies where there are none) of files in
// checkpoints/. Each file changes in one instant, in the order step, best, last. So a crash at any
// moment leaves `last` as it was before or as it is after; at most step and best are ahead of it,
// and the resumed run writes them again with the same bytes.
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_RUNTIME_CHECKPOINTFOLDER_H
#define NIBBLE_RUNTIME_CHECKPOINTFOLDER_H

#include "nibble/Runtime/Checkpoint.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace nibble::runtime {

struct CheckpointFolderOptions {
  /// Go on from the folder's last checkpoint, or, where the folder has none, begin.
  bool resume = false;
  /// Go on from this file instead.
  std::string resumeFile = {};
  /// Discard what another run left in the folder, or what lies behind `resumeFile`.
  bool overwrite = false;
  /// How many of the newest files to keep in checkpoints/, besides step 0; 0: all.
  int64_t keep = 3;
};

class CheckpointFolder {
public:
  /// Makes the folder if need be, locks it, and reads the checkpoint to go on from. Refused: a
  /// folder that another process works in, that cannot be written to, or that holds a run which is
  /// neither to be resumed nor to be overwritten.
  static Result<CheckpointFolder> open(const std::string &folder,
                                       const CheckpointFolderOptions &options);
  CheckpointFolder(CheckpointFolder &&) noexcept;
  CheckpointFolder &operator=(CheckpointFolder &&) noexcept;
  ~CheckpointFolder();

  /// What to go on from, or null where the run begins.
  const Checkpoint *resumed() const;

  /// Makes the folder ready for the first save: discards what is to be overwritten, and puts
  /// `last` and `best` back to the checkpoint to go on from. Nothing that exists was changed
  /// before. `step` holds the checkpoint's state.
  Status begin(Step &step);

  /// Saves the state, gives it the names that it deserves, and removes what is too old. The error
  /// names what is still good.
  Status save(const Checkpoint &checkpoint, Step &step, bool isBest);

  /// DIR/last.safetensors.
  std::string lastPath() const;

private:
  struct State;
  explicit CheckpointFolder(std::unique_ptr<State> state);
  std::unique_ptr<State> state;
};

} // namespace nibble::runtime

#endif // NIBBLE_RUNTIME_CHECKPOINTFOLDER_H
