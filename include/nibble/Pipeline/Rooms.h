//===- Rooms.h - the rooms in order ---------------------------------*- C++ -*-===//
//
// A model walks through six rooms. What stands at a room's exit has a name (its stage), by which `--emit` and `--stop-after`
// choose it:
//
//   Import ─ graph ─► Differentiate ─ gradient ─► Quantize ─ quantized ─► Schedule ─ planned ─► Codegen ─ loops ─► Target ─ llvm
//
//===----------------------------------------------------------------------===//
#pragma once

#include "nibble/Codegen/CPU/CpuTarget.h"
#include "nibble/Recipe/Recipe.h"
#include "nibble/Recipe/StepOptions.h"

#include "mlir/Pass/PassManager.h"
#include "llvm/ADT/ArrayRef.h"

#include <optional>

namespace nibble {

enum class Room { Import, Differentiate, Quantize, Schedule, Codegen, Target };

struct RoomInfo {
  Room room;
  /// "Quantize"
  llvm::StringRef title;
  /// What stands at its exit: "quantized".
  llvm::StringRef stage;
};

/// All six, in order.
llvm::ArrayRef<RoomInfo> rooms();
const RoomInfo &info(Room room);
/// The room of that title (in any case) or whose stage has that name.
std::optional<Room> findRoom(llvm::StringRef name);

/// What the rooms are told.
struct RoomOptions {
  Recipe recipe;
  StepOptions step;
  CpuTarget target;
  /// Size of the team that runs parallel loops; at least 1.
  unsigned threads = 1;
  /// Operations below which a loop is not worth a team (assign-threads).
  int64_t leastWork = 40000;
  /// Report gain and noise of each quantized tensor (insert-reports).
  bool health = false;
  /// Time each group of @train_step (outline-groups).
  bool profile = false;
};

/// Adds the passes of one room, its door included. Import's work on the module that importOnnx made.
void addRoom(mlir::OpPassManager &manager, Room room, const RoomOptions &options);

} // namespace nibble
