//===- Diagnostics.h - what the rooms say, as text ------------------*- C++ -*-===//
#pragma once

#include "nibble/Runtime/Status.h"

#include "mlir/IR/Diagnostics.h"

#include <string>
#include <vector>

namespace nibble {

/// Collects diagnostics of a context while it lives: errors (with their notes) as lines of one text, warnings and remarks apart.
class DiagnosticCollector {
public:
  explicit DiagnosticCollector(mlir::MLIRContext *context);

  /// All errors so far, or `otherwise`.
  Status status(const std::string &otherwise) const;
  const std::vector<std::string> &warnings() const { return others; }

private:
  void take(mlir::Diagnostic &diagnostic);

  std::string errors;
  std::vector<std::string> others;
  mlir::ScopedDiagnosticHandler handler;
};

} // namespace nibble
