//===- ContractionHarness.h - runs emitted contractions -------------*- C++ -*-===//
#pragma once

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/MLIRContext.h"
#include "nibble/Codegen/CPU/CpuTarget.h"
#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <vector>

namespace nibble::test {

/// How an operand of a case is stored.
enum class Kind { F32, Int4, Int4Zero, Int8, Log2, Log4, E2M1 }; // E2M1 has no product

/// One contraction with random operands. A matrix product's sizes are m, n, k; a convolution's
/// those of ConvShape.
struct Case {
  enum Op { MatMul, Forward, InputGrad, WeightGrad } op = MatMul;
  Kind left = Kind::F32, right = Kind::F32;
  bool transposeA = false, transposeB = false, gain = false;
  int64_t m = 1, n = 1, k = 1;
  int64_t batch = 1, height = 1, width = 1, channels = 1, outChannels = 1, kernelH = 1, kernelW = 1;
  std::vector<int64_t> strides{1, 1}, pads{0, 0, 0, 0}, dilations{1, 1};
  int64_t groups = 1;
  bool panel = false; // the right operand is packed before, into a panel that the product reads
  /// Codes that make sums as large as they get: every one at its largest, at its smallest, or
  /// either.
  enum Extreme { None, Largest, Smallest, Either } extreme = None;
  bool special = false; // floats: products that round to -0, and a few infinities

  int64_t outHeight() const {
    return (height + pads[0] + pads[2] - dilations[0] * (kernelH - 1) - 1) / strides[0] + 1;
  }
  int64_t outWidth() const {
    return (width + pads[1] + pads[3] - dilations[1] * (kernelW - 1) - 1) / strides[1] + 1;
  }
  std::vector<int64_t> leftShape() const, rightShape() const, resultShape() const;
  std::string text() const;
};

/// An operand's buffer, and its elements as what they stand for.
struct Tensor {
  std::vector<int64_t> shape;
  std::vector<uint8_t> bytes;    // as the generated code reads it, padded to 128
  std::vector<int32_t> codes;    // as the interpreter holds them: code or nibble
  std::vector<int32_t> integers; // code - zero point, or the logarithmic number
  std::vector<float> floats;
};

struct Inputs {
  Tensor left, right;
  float leftScale, rightScale, gain;
  int32_t leftZero = 0, rightZero = 0;
};
Inputs makeInputs(const Case &c, std::mt19937 &random);

/// The naive loops of ContractionEmitter.h.
std::vector<float> naive(const Case &c, const Inputs &in);

/// Does Interpreter<float> give the bits of the naive loops?
bool interpreterAgrees(const Case &c, const Inputs &in);

/// All cases of one target, compiled as one module. Null where that fails (with a test failure).
class Compiled {
public:
  static std::unique_ptr<Compiled> make(const std::vector<Case> &cases, const CpuTarget &target,
                                        bool threads = false);
  ~Compiled();
  std::vector<float> run(size_t number, const Case &c, Inputs &in);
  /// Sorted times (of the processor, one thread) of runs that take about `budget` seconds together,
  /// five at least.
  std::vector<double> times(size_t number, const Case &c, Inputs &in, double budget);
  double compileSeconds = 0;

private:
  struct Impl;
  std::unique_ptr<Impl> impl;
};

/// Loads the OpenMP run time and sets its number of threads; false where there is none.
bool loadOpenMP(int threads);

/// Assembly of all cases for a target, which the host need not be able to run. Empty where that
/// fails.
std::string assembly(const std::vector<Case> &cases, const CpuTarget &target);

/// The op of a case, on new arguments of `block`, at the builder's insertion point.
mlir::Operation *buildOp(mlir::OpBuilder &b, mlir::Block *block, const Case &c);

/// Does the emitter refuse the case?
bool emissionFails(mlir::MLIRContext &context, const Case &c);

/// Bytes that the code of a case works with.
struct CaseBytes {
  int64_t scratch, panel;
};
/// The module of the cases before lowering: functions run0, run1, ..., and pack0, ... of those that
/// read a panel.
mlir::OwningOpRef<mlir::ModuleOp> emitModule(mlir::MLIRContext &context,
                                             const std::vector<Case> &cases,
                                             const CpuTarget &target,
                                             std::vector<CaseBytes> &bytes);
void registerDialects(mlir::MLIRContext &context);

} // namespace nibble::test
