//===- Diagnostics.cpp - what the rooms say, as text ------------------------------===//
#include "Diagnostics.h"

#include "mlir/IR/Location.h"

using namespace mlir;
using namespace nibble;

/// "FILE: ", "FILE:LINE:COLUMN: ", "node 'conv1': " or nothing: where a person would look.
static std::string placeOf(Location location) {
  std::string place;
  location->walk([&](Location inner) {
    if (auto file = dyn_cast<FileLineColLoc>(inner)) {
      place = file.getFilename().str();
      if (file.getLine() > 0)
        place += ":" + std::to_string(file.getLine()) + ":" + std::to_string(file.getColumn());
    } else if (auto name = dyn_cast<NameLoc>(inner)) {
      place = "node '" + name.getName().str() + "'";
    }
    return place.empty() ? WalkResult::advance() : WalkResult::interrupt();
  });
  return place.empty() ? "" : place + ": ";
}

DiagnosticCollector::DiagnosticCollector(MLIRContext *context)
    : handler(context, [this](Diagnostic &diagnostic) { take(diagnostic); }) {}

void DiagnosticCollector::take(Diagnostic &diagnostic) {
  if (diagnostic.getSeverity() != DiagnosticSeverity::Error) {
    others.push_back(placeOf(diagnostic.getLocation()) + diagnostic.str());
    return;
  }
  errors += (errors.empty() ? "" : "\n") + placeOf(diagnostic.getLocation()) + diagnostic.str();
  for (Diagnostic &note : diagnostic.getNotes())
    errors += "\n  note: " + placeOf(note.getLocation()) + note.str();
}

Status DiagnosticCollector::status(const std::string &otherwise) const { return Status::error(errors.empty() ? otherwise : errors); }
