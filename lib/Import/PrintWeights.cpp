//===- PrintWeights.cpp - the list of weights --------------------------------===//
#include "nibble/Dialect/Train/IR/Train.h"
#include "nibble/Import/Import.h"

using namespace mlir;
using namespace nibble;

static std::string joined(ArrayAttr names) {
  std::string text;
  if (names)
    for (auto name : names.getAsRange<StringAttr>())
      text += (text.empty() ? "" : ", ") + name.str();
  return text;
}

static std::string left(StringRef text, size_t width) {
  return text.str() + std::string(width > text.size() ? width - text.size() : 0, ' ');
}

static std::string shapeOf(Type type) {
  std::string text;
  for (int64_t dim : cast<RankedTensorType>(type).getShape())
    text += (text.empty() ? "" : "x") + std::to_string(dim);
  return text.empty() ? "scalar" : text;
}

void nibble::printWeights(ModuleOp module, llvm::raw_ostream &os) {
  int64_t trained = 0, all = 0;
  size_t width = 4;
  for (auto variable : module.getOps<train::VariableOp>())
    width = std::max(width, variable.getSymName().size());
  os << "weights of "
     << (module->hasAttr("nibble.model")
             ? module->getAttrOfType<StringAttr>("nibble.model").getValue()
             : "the module")
     << ":\n";
  for (auto variable : module.getOps<train::VariableOp>()) {
    int64_t count = cast<RankedTensorType>(variable.getType()).getNumElements();
    all += count;
    trained += variable.getTrainable() ? count : 0;
    auto why = variable->getAttrOfType<StringAttr>("nibble.why");
    os << "  " << left(variable.getSymName(), width) << "  "
       << left(shapeOf(variable.getType()), 14) << " "
       << (variable.getTrainable() ? "trained  " : "fixed    ")
       << (why ? why.getValue() : stringifyRole(variable.getRole()));
    if (auto users = joined(variable->getAttrOfType<ArrayAttr>("nibble.users")); !users.empty())
      os << " (" << users << ")";
    if (!variable.getLayout().empty())
      os << ", stored " << variable.getLayout();
    os << "\n";
  }
  if (auto constants = module->getAttrOfType<ArrayAttr>("nibble.constants"))
    for (auto text : constants.getAsRange<StringAttr>())
      os << "  " << text.getValue() << ": fixed, a plain constant\n";
  os << "  " << trained << " of " << all << " numbers are trained\n";
}
