//===- Artifact.h - a compiled model as a file ----------------------*- C++ -*-===//
//
// Everything that training needs of a compiled model: object code, initial weights, layout of the state, the quantized graph (which
// exports and checkpoints refer to), and what is printed about it. `nibble-compile --emit=lib` writes one beside the library for
// `nibble-train --from-lib`; the compile cache (CompileCache.h) is a folder of them.
//
// The file: a line "nibble-artifact 1", a line with the BLAKE3 hash of the rest in hexadecimal, MLIR bytecode. The bytecode is read only
// where the hash is right; it is no protection against someone who writes such a file on purpose, no more than an executable has one.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "nibble/Driver/Compiler.h"

namespace nibble {

/// The file's bytes. `model` was compiled to an object. `content` is the hash of the ONNX file (contentHash).
std::string writeArtifact(CompiledModel &model, const std::string &content);

struct Artifact {
  std::unique_ptr<CompiledModel> model;
  std::string content;
};

/// `path` is for messages, and for what is printed about where the model came from.
Result<Artifact> readArtifact(llvm::StringRef bytes, const std::string &path);

/// The artifact of a library's folder (DIR/<name>.nibble, the only one there) or a file. The ONNX file that it was made from has to be
/// there unchanged, because what is exported is a copy of it with new weights: `model`, or where that is empty the path it had.
Result<std::unique_ptr<CompiledModel>> loadArtifact(const std::string &path, const std::string &model);

/// Hash of the ONNX file and of its external data; nothing where they cannot be read.
std::optional<std::string> contentHash(const std::string &model);

/// What these options make of a file, as text: equal texts (and contents, and versions of Nibble) give equal programs. Paths and the
/// exact number of threads are not in it.
std::string describeOptions(const CompileOptions &options, const Machine &machine, bool threads);

} // namespace nibble
