//===- Support.h - What the op families of the interpreter share --*- C++ -*-===//
#pragma once

#include "nibble/Dialect/NN/IR/NN.h"
#include "nibble/Dialect/Q4/IR/Q4.h"
#include "nibble/Dialect/Train/IR/Train.h"
#include "nibble/Numerics/Ops.h"
#include "nibble/Numerics/Reduce.h"
#include "nibble/Reference/Interpreter.h"

#include <functional>
#include <type_traits>

namespace nibble::reference {

/// The values of one run, and what the run has to remember beside them.
template <typename T> class Frame {
public:
  Frame(const VariableStore<T> &store, RunResult<T> &result) : store(store), result(result) {}

  /// The value of an operand; computed before, since the IR is in order.
  const Tensor<T> &operator[](mlir::Value value) const { return *values.find(value)->second; }
  TensorPtr<T> share(mlir::Value value) const { return values.lookup(value); }
  bool has(mlir::Value value) const { return values.contains(value); }

  void set(mlir::Value value, TensorPtr<T> tensor) { values[value] = std::move(tensor); }
  void set(mlir::Value value, Tensor<T> tensor) {
    values[value] = std::make_shared<const Tensor<T>>(std::move(tensor));
  }
  /// Forgets a value that nothing reads any more.
  void drop(mlir::Value value) { values.erase(value); }

  /// Zeros of a value's type, to be filled.
  Tensor<T> make(mlir::Value value) const { return *Tensor<T>::zeros(value.getType()); }

  /// Variables as they were at the start of the step.
  const VariableStore<T> &store;
  RunResult<T> &result;
  /// Takes effect at the end of the step.
  std::map<std::string, TensorPtr<T>> writes;
  /// A guard has ended the step.
  bool stopped = false;

private:
  llvm::DenseMap<mlir::Value, TensorPtr<T>> values;
};

/// The entries of the interpreter: op name → what it does to a frame.
template <typename T> class OpTable {
public:
  using Entry = std::function<mlir::LogicalResult(mlir::Operation *, Frame<T> &)>;

  template <typename Op, typename Fn> void add(Fn fn) {
    entries[Op::getOperationName()] = [fn](mlir::Operation *op,
                                           Frame<T> &frame) -> mlir::LogicalResult {
      if constexpr (std::is_void_v<decltype(fn(mlir::cast<Op>(op), frame))>) {
        fn(mlir::cast<Op>(op), frame);
        return mlir::success();
      } else {
        return fn(mlir::cast<Op>(op), frame);
      }
    };
  }
  /// An op on codes: has a meaning in float only.
  template <typename Op, typename Fn> void addCoded(Fn fn) {
    if constexpr (std::is_same_v<T, float>)
      add<Op>(fn);
    else
      add<Op>([](Op op, Frame<T> &) -> mlir::LogicalResult {
        return op->emitOpError("makes or takes codes, which have no meaning in double");
      });
  }

  const Entry *find(llvm::StringRef name) const {
    auto it = entries.find(name);
    return it == entries.end() ? nullptr : &it->second;
  }

private:
  llvm::StringMap<Entry> entries;
};

// One function a family, each in its file.
template <typename T> void addElementwise(OpTable<T> &table);
template <typename T> void addContraction(OpTable<T> &table);
template <typename T> void addShape(OpTable<T> &table);
template <typename T> void addReduce(OpTable<T> &table);
template <typename T> void addPool(OpTable<T> &table);
template <typename T> void addNorm(OpTable<T> &table);
template <typename T> void addLoss(OpTable<T> &table);
template <typename T> void addQuantize(OpTable<T> &table);
template <typename T> void addScale(OpTable<T> &table);
template <typename T> void addTrain(OpTable<T> &table);

/// An operand seen through the NumPy broadcast to `shape`: flat index of the result → flat index of
/// the operand.
class Broadcast {
public:
  Broadcast(llvm::ArrayRef<int64_t> operand, llvm::ArrayRef<int64_t> shape);

  int64_t operator()(int64_t i) const {
    switch (mode) {
    case Mode::Same:
      return i;
    case Mode::Scalar:
      return 0;
    case Mode::Trailing:
      return i % period;
    case Mode::General:
      break;
    }
    return general(i);
  }

private:
  enum class Mode { Same, Scalar, Trailing, General };
  int64_t general(int64_t i) const;

  Mode mode;
  int64_t period = 1;
  llvm::SmallVector<int64_t, 4> shape, strides;
};

/// Element strides of a row-major shape.
llvm::SmallVector<int64_t, 4> rowMajorStrides(llvm::ArrayRef<int64_t> shape);

/// Per-channel reductions see a tensor as rows × channels (the last dimension; 1 for rank 0) in
/// blocks of one image (rank 4) or 96 rows (numerics.md, section 5).
struct ChannelView {
  explicit ChannelView(llvm::ArrayRef<int64_t> shape);
  int64_t rows, channels, blockRows;

  /// The unrounded sum of term(flat index) over one channel; terms are of the type that term
  /// returns.
  template <typename Fn> double channelSum(int64_t channel, Fn term) const {
    return numerics::channelSum(
        rows, blockRows, [&](size_t row) { return term(int64_t(row) * channels + channel); });
  }
  /// The same over all channels, ascending.
  template <typename Fn> double tensorSum(Fn term) const {
    return numerics::tensorSum(rows, channels, blockRows, [&](size_t row, size_t channel) {
      return term(int64_t(row) * channels + channel);
    });
  }
};

/// An f32 attribute in T.
template <typename T> T real(const llvm::APFloat &attribute) {
  return static_cast<T>(attribute.convertToFloat());
}

/// The one element of a rank-0 real or label tensor.
template <typename T> T realScalar(const Tensor<T> &tensor) { return tensor.reals[0]; }
template <typename T> int32_t intScalar(const Tensor<T> &tensor) { return tensor.ints[0]; }

/// max|x|; NaN where any element is NaN.
template <typename T> T absMax(const Tensor<T> &x);

#define NIBBLE_INSTANTIATE_FAMILY(FUNCTION)                                                        \
  template void FUNCTION<float>(OpTable<float> &);                                                 \
  template void FUNCTION<double>(OpTable<double> &);

} // namespace nibble::reference
