//===- Summary.cpp - what a person wants to know about a compiled model ---------------===//
#include "nibble/Driver/Summary.h"

#include "nibble/Schedule/Storage.h"

#include "llvm/Support/Format.h"

#include <fstream>

using namespace nibble;

static std::string size(int64_t bytes) {
  std::string text;
  llvm::raw_string_ostream os(text);
  if (bytes < 10'000)
    os << bytes << " bytes";
  else if (bytes < 10'000'000)
    os << llvm::format("%.1f kB", bytes / 1e3);
  else
    os << llvm::format("%.1f MB", bytes / 1e6);
  return text;
}

void nibble::printNotes(const CompiledModel &model, llvm::raw_ostream &os) {
  for (const std::string &note : model.notes)
    os << "note: " << note << "\n";
}

void nibble::printPrecision(const CompiledModel &model, llvm::raw_ostream &os) {
  if (!model.quantized)
    return;
  printPrecisionTable(model.precision, os);
}

void nibble::printMemory(const CompiledModel &model, llvm::raw_ostream &os) {
  int64_t parameters = 0;
  for (const Variable &variable : model.variables)
    if (variable.trainable)
      parameters += variable.type.getNumElements();
  os << (model.loadedFrom.empty() ? "compiled" : "loaded")
     << llvm::format(" in %.2f s: ", model.seconds)
     << size(static_cast<int64_t>(model.object.size())) << " for " << model.options.mcpu;
  if (model.options.mcpu != model.machine.target.name)
    os << " (" << model.machine.target.name << ")";
  os << ", " << model.threads << (model.threads == 1 ? " thread" : " threads");
  os << (model.loadedFrom.empty() ? "" : "; from " + model.loadedFrom) << "\n";
  os << "memory: " << parameters << " trained numbers; state " << size(model.layout.stateBytes)
     << "; arena " << size(model.layout.arenaBytes()) << " at the peak; " << size(model.saved.total)
     << " (" << model.saved.total << ") live from forward into backward\n";
  os << "weights: " << size(model.weightSize.asFloat) << " (" << model.weightSize.asFloat
     << ") as the optimizer keeps them, " << size(model.weightSize.asRead) << " ("
     << model.weightSize.asRead << ") as the forward products read them\n";
}

/// "VmRSS" or "VmHWM" (its largest value so far) of this process, in bytes; 0 where there is none.
static int64_t processBytes(llvm::StringRef field) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (llvm::StringRef rest = line; rest.consume_front(field) && rest.consume_front(":")) {
      int64_t kilobytes = 0;
      return rest.trim().consumeInteger(10, kilobytes) ? 0 : kilobytes * 1024;
    }
  return 0;
}

void nibble::printPeak(const CompiledModel &model, llvm::raw_ostream &os) {
  int64_t now = processBytes("VmRSS"), most = processBytes("VmHWM");
  if (now == 0)
    return;
  int64_t steps = storageBytes(model.layout.input) + storageBytes(model.layout.answer) +
                  model.layout.arenaBytes();
  int64_t files =
      2 * model.weightSize.asFloat;    // the network is read again, its weights are replaced
  if (!model.options.recipe.isFloat()) // the float network is imported, its weights too, and scored
                                       // with a state of its own
    files += 3 * model.weightSize.asFloat + model.layout.stateBytes + model.layout.evalArenaBytes;
  int64_t peak = std::max(most, now + std::max(steps, files));
  os << "process: " << size(now) << " now, " << llvm::format("%.0f MB", peak / 1e6)
     << " at the peak\n";
}
