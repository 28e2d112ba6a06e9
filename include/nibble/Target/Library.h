//===- Library.h - a training step to take away ---------------------*- C++ -*-===//
//
//   step object (the JIT's bytes) ─┐
//   runtime (Library/runtime.c) ───┼─► DIR/lib<name>.a, DIR/lib<name>.so, DIR/<name>.h
//   this description ──────────────┘
//
// What a library needs from outside: the C library, libm where the processor has no fused multiply-add, libomp where it was
// compiled for more than one thread. docs/howto/use-the-library-from-c.md shows its use, docs/rationale/library.md why it is
// made this way.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "nibble/Target/Emit.h"

#include <cstdint>
#include <string>
#include <vector>

namespace nibble {

struct LibraryTensor {
  /// The variable's name; the initializer it came from ("": none) and how its value was permuted.
  std::string name, onnxName, layout;
  /// "weight", "bias", … as in Train_Role; "input", "label", "target", "output" for what is passed to a step.
  std::string role;
  /// "float32", "int32", "int64", "float64", "uint8", "int8", "bool".
  std::string type;
  bool trained = false;
  std::vector<int64_t> shape;
  /// Bytes from the start of the state (0 outside it), and how many.
  int64_t offset = 0, bytes = 0;
  /// Initial value: nothing (zeros), all bytes, or one element to repeat.
  llvm::ArrayRef<char> initial;
};

struct LibraryModel {
  /// A C identifier: the prefix of every function.
  std::string name;
  /// For people, in the header: file, recipe, optimizer, processor as asked for, who compiled.
  std::string source, recipe, optimizer, cpu, tool;
  /// What a program links besides the library, for the header: "-lomp", "-lm"; "" where nothing.
  std::string links;
  /// "" or the name of the file's last operator, Softmax or LogSoftmax, which became part of the loss: the output is what goes into it.
  std::string merged;
  LibraryTensor input, answer, output;
  std::vector<LibraryTensor> state;
  /// 0 where the loss takes real targets.
  int64_t classes = 0;
  /// Calls of train_step that make one update.
  int64_t microBatches = 1;
  int64_t stateBytes = 0, arenaBytes = 0;
  /// Slots of train_step's report, and how many eval_step's has.
  std::vector<std::string> reportNames;
  size_t evalReportCount = 0;

  int64_t rows() const { return input.shape.front(); }
};

/// `text` as a C identifier: letters, digits and '_', no digit first, never empty.
std::string libraryName(llvm::StringRef text);

/// The header `<name>.h`.
std::string libraryHeader(const LibraryModel &model, const Machine &machine);

/// The head of a file of the state: safetensors' length and JSON, everything but the tensors' bytes. Step, seed and check sum are
/// digits of fixed width at known places.
struct StateHeader {
  std::string text;
  size_t stepAt = 0, seedAt = 0, crcAt = 0;
  /// Bytes that are the same in every file of this format, and in every file of this version of it.
  size_t formatPrefix = 0, versionPrefix = 0;
};
StateHeader stateHeader(const LibraryModel &model);

/// Object of everything but the steps: the runtime with this model's tables, for the oldest processor of the architecture, so that
/// init can say what a processor lacks.
llvm::Expected<ObjectBytes> emitLibraryRuntime(const LibraryModel &model, const Machine &machine);

/// The step object with `train_step` and `eval_step` under names of this model and not visible outside of what it is linked into:
/// several models fit into one program. Only the symbol table changes.
llvm::Expected<ObjectBytes> renameSteps(llvm::ArrayRef<char> step, llvm::StringRef name);

/// The C functions that a library exports, sorted.
std::vector<std::string> libraryFunctions(const LibraryModel &model);

/// Writes the header, the static and then the shared library to the folder, which is made if need be. The shared one needs a linker:
/// ld.lld-22, ld.lld or, for the host's architecture, ld; where there is none the error says so and the rest is written.
llvm::Error writeLibrary(llvm::StringRef folder, const LibraryModel &model, const Machine &machine, llvm::ArrayRef<char> step);

} // namespace nibble
