//===- ExportRun.h - the files that a run leaves ----------------------*- C++ -*-===//
#pragma once

#include "nibble/Driver/Export.h"
#include "nibble/Runtime/Step.h"

namespace nibble {

struct ExportedFiles {
  /// DIR/model.onnx; DIR/model.int4.onnx, empty where the recipe multiplies floats everywhere.
  std::string floats, codes;
  /// Why there is no file of codes although the recipe has them; empty otherwise.
  std::string withoutCodes;
};

/// Writes the trained network into `folder`: float weights, and where products are quantized a second file with the codes that
/// evaluation multiplies. Larger files than `externalDataAbove` bytes keep their weights beside them.
Result<ExportedFiles> exportModels(const CompiledModel &model, const std::string &folder, const ReadVariable &read,
                                   int64_t externalDataAbove);

/// The same network with float products: what model.onnx computes. It owns everything it needs.
class FloatNetwork {
public:
  /// At the values of `variables` that `read` gives. `interpret`: by the interpreter.
  static Result<std::unique_ptr<FloatNetwork>> create(const CompileOptions &options, bool interpret,
                                                      const std::vector<Variable> &variables, const ReadVariable &read);
  runtime::Step &step() { return *network; }

private:
  std::unique_ptr<CompiledModel> model; // outlives the step
  std::unique_ptr<runtime::Step> network;
};

} // namespace nibble
