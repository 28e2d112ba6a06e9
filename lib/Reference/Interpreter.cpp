//===- Interpreter.cpp - Running a function op by op --------------------------===//
#include "nibble/Reference/Interpreter.h"

#include "Support.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace nibble::reference {

//===----------------------------------------------------------------------===//
// Variables
//===----------------------------------------------------------------------===//

template <typename T> FailureOr<VariableStore<T>> VariableStore<T>::fromModule(ModuleOp module) {
  VariableStore store;
  for (auto variable : module.getOps<train::VariableOp>()) {
    FailureOr<Tensor<T>> value = variable.getValue()
                                     ? Tensor<T>::fromAttribute(*variable.getValue())
                                     : Tensor<T>::zeros(variable.getType());
    if (failed(value))
      return variable.emitOpError("has a value that cannot be read as ") << variable.getType();
    store.set(variable.getSymName(), std::move(*value));
  }
  return store;
}

template <typename T> TensorPtr<T> VariableStore<T>::find(StringRef name) const {
  auto it = values.find(name.str());
  return it == values.end() ? nullptr : it->second;
}

template <typename T> void VariableStore<T>::set(StringRef name, Tensor<T> value) {
  values[name.str()] = std::make_shared<const Tensor<T>>(std::move(value));
}

template <typename T> bool VariableStore<T>::bitIdentical(const VariableStore &other) const {
  return values.size() == other.values.size() && llvm::all_of(values, [&](const auto &entry) {
           TensorPtr<T> twin = other.find(entry.first);
           return twin && entry.second->bitIdentical(*twin);
         });
}

//===----------------------------------------------------------------------===//
// The table of entries
//===----------------------------------------------------------------------===//

template <typename T> struct Interpreter<T>::Table : OpTable<T> {
  Table() {
    this->template add<arith::ConstantOp>(
        [](arith::ConstantOp op, Frame<T> &frame) -> LogicalResult {
          auto value = dyn_cast<ElementsAttr>(op.getValue());
          FailureOr<Tensor<T>> tensor =
              value ? Tensor<T>::fromAttribute(value) : FailureOr<Tensor<T>>(failure());
          if (failed(tensor))
            return op.emitOpError("is not a dense tensor of a type that the interpreter knows");
          frame.set(op.getResult(), std::move(*tensor));
          return success();
        });
    addElementwise<T>(*this);
    addContraction<T>(*this);
    addShape<T>(*this);
    addReduce<T>(*this);
    addPool<T>(*this);
    addNorm<T>(*this);
    addLoss<T>(*this);
    addQuantize<T>(*this);
    addScale<T>(*this);
    addTrain<T>(*this);
  }
};

template <typename T> Interpreter<T>::Interpreter() : table(std::make_unique<Table>()) {}
template <typename T> Interpreter<T>::~Interpreter() = default;

template <typename T> bool Interpreter<T>::knows(StringRef opName) const {
  return table->find(opName) != nullptr;
}

//===----------------------------------------------------------------------===//
// A run
//===----------------------------------------------------------------------===//

template <typename T>
static LogicalResult bindArguments(func::FuncOp function, ArrayRef<Tensor<T>> arguments,
                                   Frame<T> &frame) {
  if (function.isExternal() || !llvm::hasSingleElement(function.getBody()))
    return function.emitOpError("the interpreter runs functions of one block");
  if (function.getNumArguments() != arguments.size())
    return function.emitOpError() << "takes " << function.getNumArguments() << " arguments, got "
                                  << arguments.size();
  for (auto [i, argument] : llvm::enumerate(arguments)) {
    if (!argument.hasType(function.getArgument(i).getType()))
      return function.emitOpError()
             << "argument " << i << " is " << function.getArgument(i).getType()
             << ", got a tensor of another type";
    frame.set(function.getArgument(i), argument);
  }
  return success();
}

/// How often each value is still to be read: a tensor is freed after its last use, or a step of a
/// real network would hold every intermediate value at once.
static llvm::DenseMap<Value, int64_t> countUses(Block &block) {
  llvm::DenseMap<Value, int64_t> uses;
  for (Operation &op : block)
    for (Value operand : op.getOperands())
      ++uses[operand];
  return uses;
}

template <typename T>
static LogicalResult runBlock(Block &block, const OpTable<T> &table, Frame<T> &frame) {
  llvm::DenseMap<Value, int64_t> uses = countUses(block);
  for (Operation &op : block.without_terminator()) {
    const auto *entry = table.find(op.getName().getStringRef());
    if (!entry)
      return op.emitOpError("the interpreter does not know this op");
    if (failed((*entry)(&op, frame)))
      return failure();
    if (frame.stopped)
      return success();
    for (Value operand : op.getOperands())
      if (--uses[operand] == 0)
        frame.drop(operand);
    for (Value result : op.getResults())
      if (!uses.contains(result))
        frame.drop(result);
  }
  return success();
}

template <typename T>
FailureOr<RunResult<T>> Interpreter<T>::run(func::FuncOp function, ArrayRef<Tensor<T>> arguments,
                                            VariableStore<T> &store) const {
  RunResult<T> result;
  Frame<T> frame(store, result);
  if (failed(bindArguments(function, arguments, frame)))
    return failure();
  Block &block = function.getBody().front();
  if (failed(runBlock<T>(block, *table, frame)))
    return failure();
  for (Value value : block.getTerminator()->getOperands()) {
    FailureOr<Tensor<T>> zeros = Tensor<T>::zeros(value.getType());
    if (failed(zeros))
      return function.emitOpError()
             << "returns " << value.getType() << ", which is not a static tensor";
    result.outputs.push_back(frame.has(value) ? frame[value] : *zeros);
  }
  if (frame.stopped)
    result.status = RunStatus::NonFinite;
  else
    for (auto &[name, value] : frame.writes)
      store.set(name, std::move(value));
  return result;
}

template <typename T>
FailureOr<RunResult<T>> Interpreter<T>::run(func::FuncOp function,
                                            ArrayRef<Tensor<T>> arguments) const {
  VariableStore<T> none;
  return run(function, arguments, none);
}

template class VariableStore<float>;
template class VariableStore<double>;
template class Interpreter<float>;
template class Interpreter<double>;

} // namespace nibble::reference
