//===- ContractionReference.cpp - cases through the interpreter ---------------===//
#include "ContractionHarness.h"

#include "nibble/Reference/Interpreter.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include <cstring>

using namespace mlir;
using namespace nibble;
using namespace nibble::test;

static reference::Tensor<float> toTensor(const Tensor &t, Kind kind) {
  using Element = reference::ElementKind;
  if (kind == Kind::F32)
    return reference::Tensor<float>::real(t.shape, t.floats);
  Element element = kind == Kind::Int8   ? Element::Int8
                    : kind == Kind::Log2 ? Element::Log2
                    : kind == Kind::Log4 ? Element::Log4
                                         : Element::Int4;
  return reference::Tensor<float>::integer(element, t.shape, t.codes);
}

bool test::interpreterAgrees(const Case &c, const Inputs &in) {
  using Value = reference::Tensor<float>;
  MLIRContext context(MLIRContext::Threading::DISABLED);
  registerDialects(context);
  OpBuilder b(&context);
  OwningOpRef<ModuleOp> module = ModuleOp::create(b, b.getUnknownLoc());
  b.setInsertionPointToEnd(module->getBody());
  auto function = func::FuncOp::create(b, b.getUnknownLoc(), "spec", b.getFunctionType({}, {}));
  Block *block = function.addEntryBlock();
  b.setInsertionPointToEnd(block);
  Operation *op = buildOp(b, block, c);
  func::ReturnOp::create(b, b.getUnknownLoc(), op->getResults());
  function.setType(b.getFunctionType(block->getArgumentTypes(), op->getResultTypes()));

  std::vector<Value> arguments{toTensor(in.left, c.left), toTensor(in.right, c.right)};
  if (c.left != Kind::F32) {
    arguments.push_back(Value::scalar(in.leftScale));
    arguments.push_back(Value::scalar(in.rightScale));
    if (c.left == Kind::Int4Zero)
      arguments.push_back(Value::label(in.leftZero));
    if (c.right == Kind::Int4Zero)
      arguments.push_back(Value::label(in.rightZero));
    if (c.gain)
      arguments.push_back(Value::scalar(in.gain));
  }
  auto result = reference::Interpreter<float>().run(function, arguments);
  if (failed(result))
    return false;
  std::vector<float> expected = naive(c, in);
  const std::vector<float> &actual = result->outputs[0].reals;
  return actual.size() == expected.size() &&
         memcmp(actual.data(), expected.data(), 4 * expected.size()) == 0;
}
