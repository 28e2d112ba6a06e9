//===- PrecisionTable.cpp - what runs in how many bits -------------------------===//
#include "nibble/Quantize/PrecisionTable.h"

#include "nibble/Analysis/Names.h"
#include "nibble/Quantize/Passes.h"
#include "nibble/Quantize/SavedBytes.h"

#include "llvm/ADT/MapVector.h"
#include "llvm/Support/Format.h"

#include <algorithm>
#include <map>

namespace nibble {
#define GEN_PASS_DEF_PRINTPRECISIONTABLE
#include "nibble/Quantize/Passes.h.inc"
} // namespace nibble

using namespace mlir;
using namespace nibble;

//===----------------------------------------------------------------------===//
// Rows
//===----------------------------------------------------------------------===//

static std::string elementName(Type element) {
  if (isa<q4::Int4Type>(element))
    return "int4";
  if (isa<q4::Int8Type>(element))
    return "int8";
  if (isa<q4::E2M1Type>(element))
    return "e2m1";
  if (auto log = dyn_cast<q4::LogType>(element))
    return "log" + std::to_string(log.getRadix());
  return "f32";
}

static std::string operandName(Value operand) {
  std::string name = elementName(getElementTypeOrSelf(operand.getType()));
  if (auto decode = operand.getDefiningOp<q4::DequantizeOp>())
    name += " of " + elementName(getElementTypeOrSelf(decode.getCodes().getType()));
  return name;
}

static std::string kindOf(Operation *op) {
  if (!isa<nn::MatMulOp, q4::MatMulOp>(op)) {
    nn::ConvShape shape = nn::convShape(op);
    return shape.groups > 1 && shape.groups == shape.channels ? "depthwise" : "conv2d";
  }
  return "matmul";
}

static PrecisionRow rowOf(ContractionOpInterface op) {
  PrecisionRow row;
  row.layer = op.getLayerName().str();
  row.kind = kindOf(op);
  row.product = op.getProductKind();
  row.left = operandName(op.getLeft());
  row.right = operandName(op.getRight());
  row.bits = std::max(q4::storageBits(getElementTypeOrSelf(op.getLeft().getType())),
                      q4::storageBits(getElementTypeOrSelf(op.getRight().getType())));
  if (auto reason = op->getAttrOfType<StringAttr>("reason"); reason && row.bits > 4)
    row.reason = reason.getValue().str();
  if (row.reason.empty() && row.bits > 4)
    row.reason = "no reason given";
  row.multiplyAdds = op.getMultiplyAdds();
  return row;
}

/// Steps of time that differ in nothing are one row.
static void add(std::vector<PrecisionRow> &rows, const PrecisionRow &row, bool isStep) {
  for (PrecisionRow &known : rows)
    if (isStep && known.kind == row.kind && known.left == row.left && known.right == row.right &&
        known.bits == row.bits && known.reason == row.reason) {
      known.multiplyAdds += row.multiplyAdds;
      return;
    }
  rows.push_back(row);
}

std::vector<PrecisionRow> nibble::precisionTable(ModuleOp module) {
  llvm::MapVector<std::string, std::array<std::vector<PrecisionRow>, 3>,
                  std::map<std::string, unsigned>>
      layers;
  if (auto function = module.lookupSymbol<func::FuncOp>("train_step"))
    function.walk([&](ContractionOpInterface op) {
      if (op->hasAttr(repeatedAttributeName))
        return; // no other product than the one it repeats
      PrecisionRow row = rowOf(op);
      StringRef name = sequenceName(op.getLayerName());
      bool isStep = name != op.getLayerName();
      row.layer = name.str();
      add(layers[row.layer][static_cast<unsigned>(row.product)], row, isStep);
    });
  std::vector<PrecisionRow> rows;
  for (auto &[layer, products] : layers)
    for (Product product : {Product::Forward, Product::InputGradient, Product::WeightGradient}) {
      std::vector<PrecisionRow> &found = products[static_cast<unsigned>(product)];
      if (found.empty()) {
        PrecisionRow row;
        row.layer = layer;
        row.product = product;
        row.present = false;
        row.reason = product == Product::InputGradient
                         ? "not computed: nothing before this layer is trained"
                         : "not computed: the weight is not trained";
        found.push_back(row);
      }
      llvm::append_range(rows, found);
    }
  return rows;
}

//===----------------------------------------------------------------------===//
// Text
//===----------------------------------------------------------------------===//

static std::string productText(Product product) {
  switch (product) {
  case Product::Forward:
    return "Y = X W";
  case Product::InputGradient:
    return "dX = dY W'";
  case Product::WeightGradient:
    return "dW = X' dY";
  }
  return "";
}

static std::vector<std::string> cellsOf(const PrecisionRow &row, bool sameLayer) {
  std::string layer = sameLayer ? "" : row.layer;
  if (!row.present)
    return {layer, "", productText(row.product), "-", "-", "-", row.reason};
  return {layer,
          sameLayer ? "" : row.kind,
          productText(row.product),
          row.left + " x " + row.right,
          std::to_string(row.bits),
          std::to_string(row.multiplyAdds),
          row.reason};
}

std::string nibble::precisionWarning(const std::vector<PrecisionRow> &rows) {
  bool any = llvm::any_of(rows, [](const PrecisionRow &row) { return row.bits == 4; });
  return any ? "" : "warning: no product of this step runs in 4 bits";
}

void nibble::printPrecisionTable(const std::vector<PrecisionRow> &rows, llvm::raw_ostream &os) {
  std::vector<std::vector<std::string>> lines = {
      {"layer", "op", "product", "operands", "bits", "multiply-adds", "why not 4"}};
  int64_t all = 0, four = 0;
  for (size_t i = 0; i < rows.size(); ++i) {
    lines.push_back(cellsOf(rows[i], i > 0 && rows[i - 1].layer == rows[i].layer));
    all += rows[i].multiplyAdds;
    four += rows[i].bits == 4 ? rows[i].multiplyAdds : 0;
  }
  std::vector<size_t> widths(lines.front().size());
  for (auto &line : lines)
    for (size_t i = 0; i < line.size(); ++i)
      widths[i] = std::max(widths[i], line[i].size());
  for (auto &line : lines) {
    std::string text;
    for (size_t i = 0; i < line.size(); ++i) {
      bool number = i == 4 || i == 5;
      std::string pad(widths[i] - line[i].size(), ' ');
      text += (number ? pad + line[i] : line[i] + pad) + "  ";
    }
    os << StringRef(text).rtrim() << "\n";
  }
  if (all > 0)
    os << llvm::format("%.1f %% of %lld multiply-adds run in 4 bits\n", 100.0 * four / all,
                       static_cast<long long>(all));
  if (std::string warning = precisionWarning(rows); !warning.empty())
    os << warning << "\n";
}

namespace {

struct PrintPrecisionTablePass : nibble::impl::PrintPrecisionTableBase<PrintPrecisionTablePass> {
  void runOnOperation() override {
    printPrecisionTable(precisionTable(getOperation()), llvm::outs());
    printSavedBytes(savedBytes(getOperation()), llvm::outs());
    markAllAnalysesPreserved();
  }
};

} // namespace
