//===- Rooms.cpp - the rooms in order --------------------------------------------===//
#include "nibble/Pipeline/Rooms.h"

#include "nibble/Codegen/CPU/Passes.h"
#include "nibble/Differentiate/Pipeline.h"
#include "nibble/Import/Pipeline.h"
#include "nibble/Quantize/Pipeline.h"
#include "nibble/Schedule/Pipeline.h"
#include "nibble/Target/Pipeline.h"

using namespace nibble;

static const RoomInfo kRooms[] = {
    {Room::Import, "Import", "graph"},          {Room::Differentiate, "Differentiate", "gradient"},
    {Room::Quantize, "Quantize", "quantized"},  {Room::Schedule, "Schedule", "planned"},
    {Room::Codegen, "Codegen", "loops"},        {Room::Target, "Target", "llvm"},
};

llvm::ArrayRef<RoomInfo> nibble::rooms() { return kRooms; }

const RoomInfo &nibble::info(Room room) { return kRooms[static_cast<size_t>(room)]; }

std::optional<Room> nibble::findRoom(llvm::StringRef name) {
  for (const RoomInfo &room : kRooms)
    if (name.equals_insensitive(room.title) || name == room.stage)
      return room.room;
  return std::nullopt;
}

void nibble::addRoom(mlir::OpPassManager &manager, Room room, const RoomOptions &options) {
  switch (room) {
  case Room::Import:
    return buildImportPipeline(manager); // on what importOnnx made
  case Room::Differentiate: {
    DifferentiateOptions differentiate;
    differentiate.recipe = toString(options.recipe);
    differentiate.step = toString(options.step);
    return buildDifferentiatePipeline(manager, differentiate);
  }
  case Room::Quantize:
    return buildQuantizePipeline(manager, options.recipe, options.health);
  case Room::Schedule:
    return buildSchedulePipeline(manager);
  case Room::Codegen: {
    CodegenCpuOptions codegen;
    codegen.cpu = options.target.name;
    codegen.profile = options.profile;
    return buildCodegenCpuPipeline(manager, codegen);
  }
  case Room::Target: {
    TargetPipelineOptions target;
    target.threads = options.threads;
    target.leastWork = options.leastWork;
    return buildTargetPipeline(manager, target);
  }
  }
}
