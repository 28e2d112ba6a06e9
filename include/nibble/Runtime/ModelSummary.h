//===- ModelSummary.h - What is trained, in words and figures -----*- C++ -*-===//
//
// The first record of a log, {"type": "model", "step": 0, …}: with it a log explains itself, and a
// report can be made from the log alone.
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_RUNTIME_MODELSUMMARY_H
#define NIBBLE_RUNTIME_MODELSUMMARY_H

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace nibble::runtime {

/// One product of one layer, as the driver's precision table has it.
struct ProductSummary {
  std::string layer;
  /// "conv2d", "matmul", "depthwise"; empty where the step has no such product.
  std::string kind;
  /// "Y", "dX" or "dW".
  std::string product;
  /// "int4", "log4", "f32 of int4" …
  std::string left, right;
  /// Of the wider operand; 0: the step has no such product.
  int64_t bits = 0;
  int64_t multiplyAdds = 0;
  /// Why it is not 4 bits.
  std::string reason;
};

struct ModelSummary {
  /// "nibble 0.1.0".
  std::string tool;
  /// The ONNX file.
  std::string network;
  /// As it was typed, quoted for a shell.
  std::string command;
  /// A recipe's name, "ibm", and everything in it.
  std::string recipe, recipeOptions;
  /// Loss and optimizer, everything in them.
  std::string stepOptions;
  std::string processor;
  int64_t threads = 0;
  bool interpreted = false;

  /// Trained numbers.
  int64_t parameters = 0;
  /// Bytes: all that a step carries on, working memory, what forward keeps for backward, weights as
  /// the optimizer keeps them and as the forward products read them, code. 0: not known.
  int64_t stateBytes = 0, arenaBytes = 0, savedBytes = 0;
  int64_t weightBytes = 0, readBytes = 0, codeBytes = 0;
  double compileSeconds = 0;

  /// The trainer fills these in.
  std::string data;
  int64_t samples = 0, validationSamples = 0, batchSize = 0, classes = 0;
  int64_t epochs = 0, steps = 0;

  std::vector<ProductSummary> products;
  std::vector<std::string> notes;
};

/// One line without its end. Texts that are not UTF-8 are mended.
std::string toLogLine(const ModelSummary &model);

/// A shell's way to write `word`, quoted where it needs to be.
std::string shellQuoted(const std::string &word);

} // namespace nibble::runtime

#endif // NIBBLE_RUNTIME_MODELSUMMARY_H
