//===- Readers.h - every reader of Nibble behind one signature ----*- C++ -*-===//
//
// What the fuzz targets and nibble-read-files do with a file from a stranger: read it as the tools
// would and use what came out, as far as that needs no training.
//
//===----------------------------------------------------------------------===//
#pragma once

#include <string>

namespace nibble::fuzz {

/// What a reader said of a file.
struct Answer {
  bool accepted = false;
  /// The error, whole; empty where the file was accepted.
  std::string text;
};

/// How far a network is taken.
enum class Depth { Graph, Planned, Object };

/// Reads the ONNX file `path`, takes it to `depth` at batch size 4 and prints what came out; recipe
/// and optimizer follow from `variant`. With an `exportFolder`, an accepted network is also written
/// there as ONNX, which reads the file a second time.
Answer readModel(const std::string &path, Depth depth, unsigned variant,
                 const std::string &exportFolder = "");

/// Reads the data set at `path` (a file or a folder; its names say which kind), normalizes it and
/// fills the first and the last batch of each part.
Answer readData(const std::string &path);

/// Reads a checkpoint, its header alone as well, and restores it into a step that has its tensors.
Answer readCheckpoint(const std::string &path);

} // namespace nibble::fuzz
