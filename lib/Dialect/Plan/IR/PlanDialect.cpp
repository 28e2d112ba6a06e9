//===- PlanDialect.cpp - registration, syntax and verifier of plan -----------===//
#include "nibble/Dialect/Plan/IR/Plan.h"

#include "nibble/Interfaces/Interfaces.h"

#include "mlir/IR/Builders.h"

#include "nibble/Dialect/Plan/IR/PlanDialect.cpp.inc"
#define GET_OP_CLASSES
#include "nibble/Dialect/Plan/IR/PlanOps.cpp.inc"

using namespace mlir;
using namespace nibble::plan;

void PlanDialect::initialize() {
  addOperations<
#define GET_OP_LIST
#include "nibble/Dialect/Plan/IR/PlanOps.cpp.inc"
      >();
}

// plan.fused (%x as %a : tensor<4xf32>, …) -> (tensor<4xf32>, …) [attributes {…}] { … plan.yield …
// }
void FusedOp::print(OpAsmPrinter &printer) {
  printer << " (";
  llvm::interleaveComma(llvm::zip(getInputs(), getBody().getArguments()), printer, [&](auto pair) {
    auto [value, argument] = pair;
    printer << value << " as " << argument << " : " << argument.getType();
  });
  printer << ") -> (" << getResultTypes() << ")";
  printer.printOptionalAttrDictWithKeyword((*this)->getAttrs());
  printer << " ";
  printer.printRegion(getBody(), /*printEntryBlockArgs=*/false);
}

ParseResult FusedOp::parse(OpAsmParser &parser, OperationState &state) {
  SmallVector<OpAsmParser::UnresolvedOperand> operands;
  SmallVector<OpAsmParser::Argument> arguments;
  auto input = [&]() -> ParseResult {
    return failure(parser.parseOperand(operands.emplace_back()) || parser.parseKeyword("as") ||
                   parser.parseArgument(arguments.emplace_back(), /*allowType=*/true));
  };
  if (parser.parseCommaSeparatedList(OpAsmParser::Delimiter::Paren, input) || parser.parseArrow() ||
      parser.parseLParen())
    return failure();
  if (failed(parser.parseOptionalRParen()) &&
      (parser.parseTypeList(state.types) || parser.parseRParen()))
    return failure();
  if (parser.parseOptionalAttrDictWithKeyword(state.attributes) ||
      parser.parseRegion(*state.addRegion(), arguments))
    return failure();
  SmallVector<Type> types;
  for (auto &argument : arguments)
    types.push_back(argument.type);
  return parser.resolveOperands(operands, types, parser.getCurrentLocation(), state.operands);
}

LogicalResult FusedOp::verify() {
  Block &block = getBody().front();
  auto yield = dyn_cast<YieldOp>(block.back());
  if (!yield || yield.getValues().getTypes() != getResultTypes() ||
      block.getArgumentTypes() != getInputs().getTypes())
    return emitOpError(
        "inputs and results have the types of the body's arguments and yielded values");
  return success();
}

// plan.group ins(%x : memref<4xf32> as %a : tensor<4xf32>, …) outs(%y : memref<4xf32>) [scratch(%s
// : memref<64xi8>)]
//            [attributes {…}] { … plan.yield … }
void GroupOp::print(OpAsmPrinter &printer) {
  printer << " ins(";
  Block &block = getBody().front();
  llvm::interleaveComma(llvm::zip(getInputs(), block.getArguments()), printer, [&](auto pair) {
    auto [buffer, argument] = pair;
    printer << buffer << " : " << buffer.getType() << " as " << argument << " : "
            << argument.getType();
  });
  printer << ") outs(";
  llvm::interleaveComma(getOutputs(), printer,
                        [&](Value v) { printer << v << " : " << v.getType(); });
  printer << ")";
  if (getScratch())
    printer << " scratch(" << getScratch() << " : " << getScratch().getType() << ")";
  printer.printOptionalAttrDictWithKeyword((*this)->getAttrs(), {"operandSegmentSizes"});
  printer << " ";
  printer.printRegion(getBody(), /*printEntryBlockArgs=*/false);
}

ParseResult GroupOp::parse(OpAsmParser &parser, OperationState &state) {
  SmallVector<OpAsmParser::UnresolvedOperand> operands;
  SmallVector<Type> types;
  SmallVector<OpAsmParser::Argument> arguments;
  auto buffer = [&]() -> ParseResult {
    return failure(parser.parseOperand(operands.emplace_back()) ||
                   parser.parseColonType(types.emplace_back()));
  };
  auto input = [&]() -> ParseResult {
    return failure(buffer() || parser.parseKeyword("as") ||
                   parser.parseArgument(arguments.emplace_back(), /*allowType=*/true));
  };
  using Delimiter = OpAsmParser::Delimiter;
  if (parser.parseKeyword("ins") || parser.parseCommaSeparatedList(Delimiter::Paren, input))
    return failure();
  size_t inputs = operands.size();
  if (parser.parseKeyword("outs") || parser.parseCommaSeparatedList(Delimiter::Paren, buffer))
    return failure();
  size_t outputs = operands.size() - inputs, scratch = 0;
  if (succeeded(parser.parseOptionalKeyword("scratch"))) {
    scratch = 1;
    if (parser.parseLParen() || buffer() || parser.parseRParen())
      return failure();
  }
  if (parser.parseOptionalAttrDictWithKeyword(state.attributes))
    return failure();
  if (parser.parseRegion(*state.addRegion(), arguments))
    return failure();
  auto sizes = {static_cast<int32_t>(inputs), static_cast<int32_t>(outputs),
                static_cast<int32_t>(scratch)};
  state.addAttribute(getOperandSegmentSizeAttr(), parser.getBuilder().getDenseI32ArrayAttr(sizes));
  return parser.resolveOperands(operands, types, parser.getCurrentLocation(), state.operands);
}

LogicalResult GroupOp::verify() {
  Block &block = getBody().front();
  if (block.getNumArguments() != getInputs().size())
    return emitOpError() << "has " << getInputs().size() << " input buffers and a body of "
                         << block.getNumArguments() << " arguments";
  auto yield = dyn_cast<YieldOp>(block.back());
  if (!yield || yield.getValues().size() != getOutputs().size())
    return emitOpError() << "yields " << (yield ? yield.getValues().size() : 0) << " tensors to "
                         << getOutputs().size() << " output buffers";
  auto isTensor = [](Type type) { return isa<RankedTensorType>(type); };
  if (!llvm::all_of(block.getArgumentTypes(), isTensor) ||
      !llvm::all_of(yield.getValues().getTypes(), isTensor))
    return emitOpError("the body works on tensors");
  return success();
}

LogicalResult PackOp::verify() {
  Block &block = getBody().front();
  if (!llvm::hasSingleElement(block) || !isa<nibble::ContractionOpInterface>(block.front()))
    return emitOpError("the body is one product, which wants the panel");
  if (getProduct()->getOperand(1).getType() != getRight().getType())
    return emitOpError() << "packs " << getRight().getType()
                         << " for a product whose right operand is "
                         << getProduct()->getOperand(1).getType();
  if (!cast<RankedTensorType>(getPanel().getType()).getElementType().isInteger(8))
    return emitOpError("a panel is bytes");
  return success();
}

LogicalResult PackedOp::verify() {
  auto isRightOperand = [](OpOperand &use) {
    return isa<nibble::ContractionOpInterface>(use.getOwner()) && use.getOperandNumber() == 1;
  };
  if (!llvm::all_of((*this)->getUses(), isRightOperand))
    return emitOpError("is read by products alone, as their right operand");
  return success();
}
