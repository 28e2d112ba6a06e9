//===- ConvertRecurrent.cpp - RNN, GRU and LSTM, a step of time after another -===//
//
// A recurrent node becomes ordinary ops. The products with the inputs are one product for the whole sequence, [time·batch, inputs]
// times [inputs, gates·hidden]; then each step of time adds its product with the hidden state before it and applies the gates.
// Everything behind this room (gradients, quantizers, plans) sees nothing but matrix products, slices and element-wise ops. Layers
// are named NODE (the input product; NODE/reverse of a second direction) and NODE/recurrent[t]; weight gradients of all steps become one product again in room
// Differentiate (combine-gradients), as numerics.md, section 6, wants it.
//
// Equations: ONNX operators RNN, GRU, LSTM (opset 7 to 22); no peepholes, no clipping, no activations but Sigmoid, Tanh and Relu.
//
//===----------------------------------------------------------------------===//
#include "Importer.h"

#include "llvm/ADT/StringExtras.h"

using namespace mlir;
using namespace nibble;
using namespace nibble::importer;

/// Steps of time that one file may have in all: each becomes ops of its own.
static constexpr int64_t kMostSteps = 512;

namespace {

enum class Cell { Rnn, Gru, Lstm };

/// A node's numbers, once they are known to fit.
struct Sizes {
  int64_t steps, batch, inputs, hidden, directions, gates;
};

class Recurrence {
public:
  Recurrence(NodeContext &n, Cell cell) : n(n), cell(cell) {}

  LogicalResult run() {
    if (failed(readSizes()) || failed(readActivations()) || failed(refuseOptions()))
      return failure();
    if (failed(readOperands()))
      return failure();
    layer = n.layerName(1);
    SmallVector<Direction> results;
    for (int64_t d = 0; d < s.directions; ++d)
      if (!walk(d, results.emplace_back()))
        return failure();
    setOutputs(results);
    return success();
  }

private:
  /// What one direction computes: hidden states in the order of time, and the last states.
  struct Direction {
    SmallVector<Value> hidden;
    Value lastHidden, lastCell;
  };

  //===--------------------------------------------------------------------===//
  // Checks
  //===--------------------------------------------------------------------===//

  LogicalResult readSizes() {
    if (!n.has(0) || !n.has(1) || !n.has(2))
      return n.error("takes an input, weights and recurrent weights");
    Shape x = n.shape(0), w = n.shape(1), r = n.shape(2);
    std::string direction = n.text("direction", "forward");
    s.directions = direction == "bidirectional" ? 2 : 1;
    reversed = direction == "reverse";
    if (s.directions == 1 && !reversed && direction != "forward")
      return n.error("has the direction '" + direction + "'");
    s.gates = cell == Cell::Rnn ? 1 : cell == Cell::Gru ? 3 : 4;
    batchFirst = n.integer("layout", 0) != 0;
    if (x.size() != 3 || w.size() != 3 || r.size() != 3 || failed(n.check(x)) || failed(n.check(w)) || failed(n.check(r)))
      return n.error("takes tensors of rank 3, got " + shapeText(x) + ", " + shapeText(w) + " and " + shapeText(r));
    s.steps = x[batchFirst ? 1 : 0], s.batch = x[batchFirst ? 0 : 1], s.inputs = x[2], s.hidden = r[2];
    if (w != Shape{s.directions, s.gates * s.hidden, s.inputs} || r != Shape{s.directions, s.gates * s.hidden, s.hidden} ||
        n.integer("hidden_size", s.hidden) != s.hidden)
      return n.error("has weights " + shapeText(w) + " and " + shapeText(r) + " that do not fit the input " + shapeText(x) + ", " +
                     Twine(s.directions) + " direction(s) and " + Twine(s.gates) + " gate(s)");
    if (failed(n.check({s.steps * s.batch, s.gates * s.hidden}))) // all gates of the sequence
      return failure();
    n.importer.recurrentSteps += s.steps * s.directions;
    if (n.importer.recurrentSteps > kMostSteps)
      return n.error("makes " + Twine(n.importer.recurrentSteps) + " steps of time in all, and each becomes code of its own",
                     "cut the sequences, with --shape: a file may have " + std::to_string(kMostSteps) + " in all");
    return success();
  }

  LogicalResult readActivations() {
    const importer::Attribute *a = n.node.find("activations");
    std::vector<std::string> names;
    if (a && a->kind == importer::Attribute::Kind::Strings)
      names = a->strings;
    size_t each = cell == Cell::Rnn ? 1 : cell == Cell::Gru ? 2 : 3;
    if (names.empty())
      for (int64_t d = 0; d < s.directions; ++d)
        for (size_t i = 0; i < each; ++i)
          names.push_back(cell != Cell::Rnn && i == 0 ? "Sigmoid" : "Tanh");
    if (names.size() != each * static_cast<size_t>(s.directions))
      return n.error("names " + Twine(names.size()) + " activations, " + Twine(each * s.directions) + " expected");
    for (std::string &name : names) {
      std::string lower = llvm::StringRef(name).lower();
      if (lower != "sigmoid" && lower != "tanh" && lower != "relu")
        return n.error("has the activation '" + name + "'", "Sigmoid, Tanh and Relu are known");
      activations.push_back(lower);
    }
    activationsEach = each;
    return success();
  }

  LogicalResult refuseOptions() {
    if (n.hasAttribute("clip"))
      return n.error("clips its cell's input", "leave the attribute clip out");
    if (n.integer("input_forget", 0) != 0)
      return n.error("couples its input and forget gates (input_forget)");
    if (n.has(7) && !isZero(7))
      return n.error("has peepholes (input P)", "train it without them");
    if (!n.has(4))
      return success();
    std::optional<Shape> lengths = n.integers(4, "the length of each sequence");
    if (!lengths)
      return failure();
    if (llvm::any_of(*lengths, [&](int64_t length) { return length != s.steps; }))
      return n.error("has sequences of different lengths", "pad them, and leave sequence_lens out");
    return success();
  }

  bool isZero(size_t i) const {
    const HostTensor *tensor = n.host(i);
    return tensor && tensor->isFloat() && tensor->hasData() && llvm::all_of(tensor->floats, [](float v) { return v == 0; });
  }

  //===--------------------------------------------------------------------===//
  // Operands
  //===--------------------------------------------------------------------===//

  /// A constant of one slice a direction: with one direction a view of the initializer, with two a slice of it.
  LogicalResult readPerDirection(size_t i, train::Role role, const Shape &each, SmallVector<Value> &to) {
    if (!n.constant(i))
      return n.error("input " + Twine(i) + " ('" + n.node.inputs[i] + "') is computed from the data, and weights are expected");
    if (s.directions == 1) {
      Value whole = n.parameter(i, role, {{false, each}});
      to.push_back(whole);
      return success(whole != nullptr);
    }
    Value whole = n.parameter(i, role);
    if (!whole)
      return failure();
    for (int64_t d = 0; d < 2; ++d)
      to.push_back(n.reshape(part(whole, 0, d, 1), each));
    return success();
  }

  LogicalResult readOperands() {
    int64_t rows = s.gates * s.hidden;
    n.fanIn = s.hidden;
    if (failed(readPerDirection(1, train::Role::Weight, {rows, s.inputs}, weights)) ||
        failed(readPerDirection(2, train::Role::Weight, {rows, s.hidden}, recurrentWeights)))
      return failure();
    if (n.has(3)) {
      if (n.shape(3) != Shape{s.directions, 2 * rows})
        return n.error("has a bias of shape " + shapeText(n.shape(3)) + ", " + shapeText({s.directions, 2 * rows}) + " expected");
      if (failed(readPerDirection(3, train::Role::Bias, {2 * rows}, biases)))
        return failure();
    }
    x = n.value(0);
    if (x && batchFirst)
      x = n.transpose(x, {1, 0, 2});
    return success(x && succeeded(readInitial(5, initialHidden)) && (cell != Cell::Lstm || succeeded(readInitial(6, initialCell))));
  }

  /// Initial states a direction; none where they are zero.
  LogicalResult readInitial(size_t i, SmallVector<Value> &to) {
    if (!n.has(i) || isZero(i))
      return success();
    Shape expected = batchFirst ? Shape{s.batch, s.directions, s.hidden} : Shape{s.directions, s.batch, s.hidden};
    if (n.shape(i) != expected)
      return n.error("has an initial state of shape " + shapeText(n.shape(i)) + ", " + shapeText(expected) + " expected");
    Value state = n.value(i);
    if (!state)
      return failure();
    for (int64_t d = 0; d < s.directions; ++d)
      to.push_back(n.reshape(part(state, batchFirst ? 1 : 0, d, 1), {s.batch, s.hidden}));
    return success();
  }

  //===--------------------------------------------------------------------===//
  // Building
  //===--------------------------------------------------------------------===//

  /// Elements first … first + count of one axis.
  Value part(Value whole, int64_t axis, int64_t first, int64_t count) {
    Shape shape = NodeContext::shapeOf(whole), starts(shape.size(), 0), ones(shape.size(), 1);
    if (count == shape[axis])
      return whole;
    shape[axis] = count, starts[axis] = first;
    return nn::SliceOp::create(n.b(), n.loc(), n.type(shape), whole, starts, ones);
  }
  /// Gate g of gates side by side.
  Value gate(Value gates, int64_t g, int64_t count = 1) {
    return part(gates, NodeContext::shapeOf(gates).size() - 1, g * s.hidden, count * s.hidden);
  }
  Value add(Value a, Value b) { return a && b ? n.binary<nn::AddOp>(a, b) : a ? a : b; }
  Value mul(Value a, Value b) { return n.binary<nn::MulOp>(a, b); }
  Value activate(Value value, int64_t d, size_t which) {
    llvm::StringRef name = activations[static_cast<size_t>(d) * activationsEach + which];
    if (name == "sigmoid")
      return n.unary<nn::SigmoidOp>(value);
    return name == "tanh" ? Value(n.unary<nn::TanhOp>(value)) : Value(n.unary<nn::ReluOp>(value));
  }

  /// a times the transpose of w.
  Value product(Value a, Value w, llvm::StringRef name) {
    auto &b = n.b();
    SmallVector<NamedAttribute> attributes{b.getNamedAttr("layer", b.getStringAttr(name)),
                                           b.getNamedAttr("transpose_b", b.getUnitAttr())};
    return nn::MatMulOp::create(b, n.loc(), TypeRange{n.type({NodeContext::shapeOf(a)[0], NodeContext::shapeOf(w)[0]})},
                                ValueRange{a, w}, attributes);
  }

  Value recurrentProduct(Value h, Value w, int64_t t, llvm::StringRef what = "") {
    std::string name = n.importer.uniqueLayer((directionLayer + "/recurrent" + what + "[" + Twine(t) + "]").str());
    n.importer.layerNodes[name] = n.importer.layerNodes[layer];
    return product(h, w, name);
  }

  bool walk(int64_t d, Direction &result) {
    current = d;
    Value rows = n.reshape(x, {s.steps * s.batch, s.inputs});
    if (cell == Cell::Gru && !resetsLate()) {
      gateRows = part(recurrentWeights[d], 0, 0, 2 * s.hidden);
      candidateRows = part(recurrentWeights[d], 0, 2 * s.hidden, s.hidden);
    }
    directionLayer = d == 0 ? layer : n.importer.uniqueLayer(layer + "/reverse");
    n.importer.layerNodes[directionLayer] = n.importer.layerNodes[layer];
    Value inputs = add(product(rows, weights[d], directionLayer), inputBias(d));
    Value h = initialHidden.empty() ? Value() : initialHidden[d], c = initialCell.empty() ? Value() : initialCell[d];
    result.hidden.resize(s.steps);
    bool backwards = reversed || d == 1;
    for (int64_t i = 0; i < s.steps; ++i) {
      int64_t t = backwards ? s.steps - 1 - i : i;
      Value gates = part(inputs, 0, t * s.batch, s.batch);
      h = cell == Cell::Lstm ? lstm(gates, h, c, t) : cell == Cell::Gru ? gru(gates, h, t) : rnn(gates, h, t);
      if (!h)
        return false;
      result.hidden[t] = h;
    }
    result.lastHidden = h, result.lastCell = c;
    return true;
  }

  /// The part of both biases that is added before anything else.
  Value inputBias(int64_t d) {
    if (biases.empty())
      return {};
    Value input = gate(biases[d], 0, s.gates), recurrent = gate(biases[d], s.gates, s.gates);
    if (cell != Cell::Gru || !resetsLate())
      return add(input, recurrent);
    // The candidate's recurrent bias is inside the reset gate's reach.
    Value both = add(gate(input, 0, 2), gate(recurrent, 0, 2));
    Value parts[] = {both, gate(input, 2)};
    return nn::ConcatOp::create(n.b(), n.loc(), n.type({3 * s.hidden}), parts, 0);
  }
  bool resetsLate() const { return n.integer("linear_before_reset", 0) != 0; }

  Value rnn(Value gates, Value h, int64_t t) {
    return activate(add(gates, h ? recurrentProduct(h, recurrentWeights[current], t) : Value()), current, 0);
  }

  /// Gates in ONNX's order: input, output, forget, cell.
  Value lstm(Value gates, Value h, Value &c, int64_t t) {
    if (h)
      gates = add(gates, recurrentProduct(h, recurrentWeights[current], t));
    Value i = activate(gate(gates, 0), current, 0), o = activate(gate(gates, 1), current, 0);
    Value written = mul(i, activate(gate(gates, 3), current, 1));
    c = c ? add(mul(activate(gate(gates, 2), current, 0), c), written) : written;
    return mul(o, activate(c, current, 2));
  }

  /// Gates in ONNX's order: update, reset, candidate. h' = (1 − z)·candidate + z·h.
  Value gru(Value gates, Value h, int64_t t) {
    Value both = gate(gates, 0, 2), candidate = gate(gates, 2), late;
    if (resetsLate() && !biases.empty())
      late = gate(biases[current], 5);
    if (h && resetsLate()) {
      Value products = recurrentProduct(h, recurrentWeights[current], t);
      both = add(both, gate(products, 0, 2));
      late = add(gate(products, 2), late);
    } else if (h) {
      both = add(both, recurrentProduct(h, gateRows, t));
    }
    Value z = activate(gate(both, 0), current, 0), r = activate(gate(both, 1), current, 0);
    if (late)
      candidate = add(candidate, mul(r, late));
    else if (h)
      candidate = add(candidate, recurrentProduct(mul(r, h), candidateRows, t, "-candidate"));
    candidate = activate(candidate, current, 1);
    Value fresh = mul(n.binary<nn::SubOp>(n.splat(1), z), candidate);
    return h ? add(fresh, mul(z, h)) : fresh;
  }

  //===--------------------------------------------------------------------===//
  // Results
  //===--------------------------------------------------------------------===//

  Value concat(ArrayRef<Value> parts, int64_t axis) {
    if (parts.size() == 1)
      return parts.front();
    Shape shape = NodeContext::shapeOf(parts.front());
    shape[axis] *= static_cast<int64_t>(parts.size());
    return nn::ConcatOp::create(n.b(), n.loc(), n.type(shape), parts, axis);
  }

  void setOutputs(ArrayRef<Direction> results) {
    if (n.wants(0)) {
      SmallVector<Value> each;
      for (const Direction &direction : results)
        each.push_back(n.reshape(concat(direction.hidden, 0), {s.steps, 1, s.batch, s.hidden}));
      Value y = concat(each, 1);
      n.set(0, batchFirst ? n.transpose(y, {2, 0, 1, 3}) : y);
    }
    if (n.wants(1))
      n.set(1, lastStates(results, &Direction::lastHidden));
    if (n.wants(2) && cell == Cell::Lstm)
      n.set(2, lastStates(results, &Direction::lastCell));
  }

  Value lastStates(ArrayRef<Direction> results, Value Direction::*which) {
    SmallVector<Value> each;
    for (const Direction &direction : results)
      each.push_back(n.reshape(direction.*which, batchFirst ? Shape{s.batch, 1, s.hidden} : Shape{1, s.batch, s.hidden}));
    return concat(each, batchFirst ? 1 : 0);
  }

  NodeContext &n;
  Cell cell;
  Sizes s{};
  bool batchFirst = false, reversed = false;
  std::vector<std::string> activations;
  size_t activationsEach = 1;
  std::string layer, directionLayer;
  int64_t current = 0;
  Value x;
  Value gateRows, candidateRows; // of the recurrent weights of a GRU that resets early
  SmallVector<Value> weights, recurrentWeights, biases, initialHidden, initialCell;
};

} // namespace

template <Cell cell> static LogicalResult convert(NodeContext &n) { return Recurrence(n, cell).run(); }

void nibble::importer::addRecurrentConverters(ConverterTable &table) {
  table["RNN"] = convert<Cell::Rnn>;
  table["GRU"] = convert<Cell::Gru>;
  table["LSTM"] = convert<Cell::Lstm>;
}
