//===- FiniteDifference.cpp - Gradients against central differences -----------===//
#include "nibble/Reference/FiniteDifference.h"

#include "nibble/Dialect/Train/IR/Train.h"
#include "nibble/Numerics/Random.h"

#include "llvm/Support/FormatVariadic.h"

#include <cmath>
#include <functional>

using namespace mlir;

namespace nibble::reference {

using TensorD = Tensor<double>;

TensorD randomReals(ArrayRef<int64_t> shape, double lo, double hi, uint64_t seed, uint32_t stream) {
  TensorD t = TensorD::real(shape);
  numerics::RandomBits bits(seed, 0, stream);
  for (size_t i = 0; i < t.reals.size(); ++i) {
    // 32 bits an element: uniform on a grid of 2⁻³².
    double unit = (bits.at(2 * i) * 65536.0 + bits.at(2 * i + 1)) / 4294967296.0;
    t.reals[i] = lo + (hi - lo) * unit;
  }
  return t;
}

static double dot(const TensorD &a, const TensorD &b) {
  double sum = 0;
  for (size_t i = 0; i < a.reals.size(); ++i)
    sum += a.reals[i] * b.reals[i];
  return sum;
}

static TensorD moved(const TensorD &x, const TensorD &v, double h) {
  TensorD y = x;
  for (size_t i = 0; i < y.reals.size(); ++i)
    y.reals[i] += h * v.reals[i];
  return y;
}

/// Adds one direction's numbers to the findings.
static void compare(GradientCheck &check, int direction, double quotient, double projection,
                    const GradientCheckOptions &options) {
  double error = std::fabs(quotient - projection) /
                 std::max({1.0, std::fabs(quotient), std::fabs(projection)});
  check.worst = error > check.worst ? error : check.worst;
  if (error <= options.tolerance) // NaN is not
    return;
  check.ok = false;
  check.message +=
      llvm::formatv(
          "direction {0}: difference quotient {1:f9}, gradient's projection {2:f9}, relative error "
          "{3:e2} above {4:e2}\n",
          direction, quotient, projection, error, options.tolerance)
          .str();
}

static GradientCheck broken(std::string message) { return {false, INFINITY, std::move(message)}; }

/// Σ ⟨dy, f(x)⟩ over the real outputs; NaN where the function does not run.
static double project(const Interpreter<double> &interpreter, func::FuncOp forward,
                      ArrayRef<TensorD> inputs, ArrayRef<TensorD> dy) {
  FailureOr<RunResult<double>> y = interpreter.run(forward, inputs);
  if (failed(y))
    return NAN;
  double sum = 0;
  const TensorD *weight = dy.begin();
  for (const TensorD &output : y->outputs)
    if (output.kind == ElementKind::Real)
      sum += dot(*weight++, output);
  return sum;
}

/// Random weights, one for each real result of `forward`.
static SmallVector<TensorD> randomWeights(func::FuncOp forward, uint64_t seed, uint32_t stream) {
  SmallVector<TensorD> dy;
  for (Type type : forward.getResultTypes())
    if (auto tensor = dyn_cast<RankedTensorType>(type); tensor && tensor.getElementType().isF32())
      dy.push_back(randomReals(tensor.getShape(), -1, 1, seed, stream++));
  return dy;
}

GradientCheck checkGradient(func::FuncOp forward, func::FuncOp gradient, ArrayRef<TensorD> inputs,
                            ArrayRef<unsigned> differentiable,
                            const GradientCheckOptions &options) {
  Interpreter<double> interpreter;
  GradientCheck check{true, 0, ""};
  for (int d = 0; d < options.directions; ++d) {
    uint32_t stream = 1000 * static_cast<uint32_t>(d);
    SmallVector<TensorD> dy = randomWeights(forward, options.seed, stream + 500);
    SmallVector<TensorD> arguments(inputs), plus(inputs), minus(inputs);
    arguments.append(dy.begin(), dy.end());
    FailureOr<RunResult<double>> dx = interpreter.run(gradient, arguments);
    if (failed(dx) || dx->outputs.size() != differentiable.size())
      return broken("the gradient function does not run, or does not return a gradient for each "
                    "differentiable input");
    double projection = 0;
    for (auto [i, input] : llvm::enumerate(differentiable)) {
      if (input >= inputs.size() || inputs[input].kind != ElementKind::Real ||
          dx->outputs[i].shape != inputs[input].shape)
        return broken(llvm::formatv("gradient {0} does not fit input {1}", i, input).str());
      TensorD v =
          randomReals(inputs[input].shape, -1, 1, options.seed, stream + static_cast<uint32_t>(i));
      projection += dot(dx->outputs[i], v);
      plus[input] = moved(inputs[input], v, options.step);
      minus[input] = moved(inputs[input], v, -options.step);
    }
    double quotient =
        (project(interpreter, forward, plus, dy) - project(interpreter, forward, minus, dy)) /
        (2 * options.step);
    compare(check, d, quotient, projection, options);
  }
  return check;
}

/// The names to be checked: those given, or all trainable variables.
static std::vector<std::string> trainable(ModuleOp module, ArrayRef<std::string> names) {
  std::vector<std::string> result(names.begin(), names.end());
  if (result.empty())
    for (auto variable : module.getOps<train::VariableOp>())
      if (variable.getTrainable())
        result.push_back(variable.getSymName().str());
  return result;
}

GradientCheck checkTrainStep(ModuleOp module, ArrayRef<TensorD> arguments,
                             const VariableStore<double> &store, ArrayRef<std::string> names,
                             const GradientCheckOptions &options) {
  auto step = module.lookupSymbol<func::FuncOp>("train_step");
  const TensorD *lr =
      llvm::find_if(arguments, [](const TensorD &t) { return t.kind == ElementKind::Double; });
  if (!step || lr == arguments.end() || lr->doubles[0] == 0)
    return broken("the module has no @train_step, or no learning rate was given");
  Interpreter<double> interpreter;
  auto lossAt = [&](VariableStore<double> at) {
    FailureOr<RunResult<double>> r = interpreter.run(step, arguments, at);
    bool good = succeeded(r) && r->status == RunStatus::Ok && !r->outputs.empty();
    return std::pair(good ? r->outputs[0].reals.at(0) : NAN, at);
  };
  VariableStore<double> after = lossAt(store).second;
  GradientCheck check{true, 0, ""};
  std::vector<std::string> checked = trainable(module, names);
  for (int d = 0; d < options.directions; ++d)
    for (auto [i, name] : llvm::enumerate(checked)) {
      TensorPtr<double> theta = store.find(name);
      if (!theta || theta->kind != ElementKind::Real)
        return broken("there is no real variable @" + name);
      TensorD v =
          randomReals(theta->shape, -1, 1, options.seed, static_cast<uint32_t>(1000 * d + i));
      VariableStore<double> plus = store, minus = store;
      plus.set(name, moved(*theta, v, options.step));
      minus.set(name, moved(*theta, v, -options.step));
      double quotient = (lossAt(plus).first - lossAt(minus).first) / (2 * options.step);
      double projection = (dot(*theta, v) - dot(after[name], v)) / lr->doubles[0];
      size_t before = check.message.size();
      compare(check, d, quotient, projection, options);
      if (check.message.size() != before)
        check.message.insert(before, "@" + name + " ");
    }
  return check;
}

} // namespace nibble::reference
