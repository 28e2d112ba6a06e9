//===- ConvertMatMul.cpp - Gemm and MatMul -----------------------------------===//
#include "Importer.h"

using namespace mlir;
using namespace nibble;
using namespace nibble::importer;

/// One operand of a product of rank-2 tensors. A constant becomes a weight; a transpose of it that
/// is the last step from the initializer becomes the op's flag, so that the variable is stored as
/// the file has it.
static Value operandOf(NodeContext &n, size_t i, const Shape &shape, bool &transpose) {
  const Constant *found = n.constant(i);
  if (!found)
    return n.reshape(n.value(i), shape);
  Constant constant = *found;
  Layout extra;
  if (constant.tensor->shape != shape)
    extra.push_back({false, shape});
  else if (!constant.layout.empty() && constant.layout.back() == LayoutStep{true, {1, 0}}) {
    constant.layout.pop_back();
    if (constant.tensor->hasData())
      constant.tensor = std::make_shared<HostTensor>(transposed(*constant.tensor, {1, 0}));
    transpose = !transpose;
  }
  return n.importer.parameter(n, constant, train::Role::Weight, extra);
}

/// The product op of the node, whose operands are there.
static Value build(NodeContext &n, const Shape &shape, Value left, Value right, bool transposeA,
                   bool transposeB) {
  auto &builder = n.b();
  SmallVector<NamedAttribute> attributes{
      builder.getNamedAttr("layer", builder.getStringAttr(n.layerName(n.constant(1) ? 1 : 0)))};
  if (transposeA)
    attributes.push_back(builder.getNamedAttr("transpose_a", builder.getUnitAttr()));
  if (transposeB)
    attributes.push_back(builder.getNamedAttr("transpose_b", builder.getUnitAttr()));
  return nn::MatMulOp::create(builder, n.loc(), TypeRange{n.type(shape)}, ValueRange{left, right},
                              attributes);
}

/// a (m x k, transposed: k x m) times b (k x n); null where it was reported.
static Value product(NodeContext &n, const Shape &a, const Shape &b, bool transposeA,
                     bool transposeB) {
  int64_t m = a[transposeA], k = a[!transposeA], kb = b[transposeB], columns = b[!transposeB];
  if (k != kb)
    return (void)n.error("contracts " + Twine(k) + " elements of " + shapeText(n.shape(0)) +
                         " with " + Twine(kb) + " of " + shapeText(n.shape(1))),
           Value();
  if (failed(n.check({m, columns})))
    return {};
  n.fanIn = k;
  Value left = operandOf(n, 0, a, transposeA),
        right = left ? operandOf(n, 1, b, transposeB) : Value();
  if (!right)
    return {};
  return build(n, {m, columns}, left, right, transposeA, transposeB);
}

/// + beta C. A vector along the columns is the bias, any other shape an ordinary addend.
static Value addC(NodeContext &n, Value y) {
  Shape shape = n.shape(2), columns{NodeContext::shapeOf(y)[1]};
  auto joined = broadcastShape(NodeContext::shapeOf(y), shape);
  if (!joined || *joined != NodeContext::shapeOf(y))
    return (void)n.error("C has the shape " + shapeText(shape) + ", which does not broadcast to " +
                         shapeText(NodeContext::shapeOf(y))),
           Value();
  double beta = n.real("beta", 1);
  const Constant *constant = n.constant(2);
  if (constant && !constant->stored &&
      llvm::all_of(constant->tensor->floats, [](float v) { return v == 0; }))
    return y;
  bool vector = constant && constant->stored && countElements(shape) == columns[0] &&
                (shape.empty() || shape.back() == columns[0]);
  Value c = vector ? n.parameter(2, train::Role::Bias, {{false, columns}}) : n.value(2);
  if (c && beta != 1)
    c = n.binary<nn::MulOp>(c, n.splat(static_cast<float>(beta)));
  return c ? n.binary<nn::AddOp>(y, c) : Value();
}

static LogicalResult convertGemm(NodeContext &n) {
  if (!n.has(0) || !n.has(1))
    return n.error("takes two matrices");
  Shape a = n.shape(0), b = n.shape(1);
  if (a.size() != 2 || b.size() != 2)
    return n.error("takes matrices, got shapes " + shapeText(a) + " and " + shapeText(b));
  if (failed(n.check(a)) || failed(n.check(b)))
    return failure();
  Value y = product(n, a, b, n.integer("transA", 0) != 0, n.integer("transB", 0) != 0);
  if (!y)
    return failure();
  if (double alpha = n.real("alpha", 1); alpha != 1)
    y = n.binary<nn::MulOp>(y, n.splat(static_cast<float>(alpha)));
  if (n.has(2) && n.real("beta", 1) != 0)
    y = addC(n, y);
  if (y)
    n.set(0, y);
  return success(y != nullptr);
}

/// A product whose right operand is one matrix: leading dimensions of the left are rows.
static LogicalResult convertRows(NodeContext &n, const Shape &a, const Shape &b) {
  Shape result(a.begin(), a.end() - 1), rows{countElements(a) / a.back(), a.back()};
  if (b.size() > a.size()) // a is then stretched to b's rank
    result.insert(result.begin(), b.size() - std::max<size_t>(a.size(), 2), 1);
  Shape matrix = b.size() == 1 ? Shape{b[0], 1} : Shape{b[b.size() - 2], b.back()};
  if (b.size() > 1)
    result.push_back(b.back());
  Value y = product(n, rows, matrix, false, false);
  if (y)
    n.set(0, n.reshape(y, result));
  return success(y != nullptr);
}

/// One operand of a product of stacks, as `leading` matrices in one dimension. A transpose of each
/// matrix becomes the op's flag; a matrix that the other operand has a stack for is repeated.
static Value stackOf(NodeContext &n, size_t i, Shape shape, const Shape &leading, bool &transpose) {
  Value x = n.constant(i) ? n.parameter(i, train::Role::Weight) : n.value(i);
  if (!x)
    return {};
  size_t rank = shape.size();
  auto moved = x.getDefiningOp<nn::TransposeOp>();
  if (moved && moved.getPerm().back() != static_cast<int64_t>(rank) - 1) {
    auto swap = llvm::to_vector(llvm::seq<int64_t>(0, rank));
    std::swap(swap[rank - 2], swap[rank - 1]);
    x = n.transpose(x, swap);
    std::swap(shape[rank - 2], shape[rank - 1]);
    transpose = true;
  }
  Shape whole = leading;
  whole.insert(whole.end(), shape.end() - 2, shape.end());
  Shape padded(whole.size() - rank, 1);
  padded.insert(padded.end(), shape.begin(), shape.end());
  x = n.reshape(x, padded);
  if (padded != whole)
    x = nn::BroadcastOp::create(n.b(), n.loc(), n.type(whole), x);
  return n.reshape(x, {countElements(leading), whole[whole.size() - 2], whole.back()});
}

/// Both operands have leading dimensions: a product for each pair of matrices (attention).
static LogicalResult convertStacks(NodeContext &n, const Shape &a, const Shape &b) {
  auto leading = broadcastShape(Shape(a.begin(), a.end() - 2), Shape(b.begin(), b.end() - 2));
  if (!leading)
    return n.error("leading dimensions of " + shapeText(a) + " and " + shapeText(b) +
                   " do not broadcast");
  int64_t m = a[a.size() - 2], k = a.back(), kb = b[b.size() - 2], columns = b.back();
  if (k != kb)
    return n.error("contracts " + Twine(k) + " elements of " + shapeText(a) + " with " + Twine(kb) +
                   " of " + shapeText(b));
  Shape result = *leading;
  result.insert(result.end(), {m, columns});
  for (auto [rows, cols] : {std::pair(m, k), std::pair(k, columns), std::pair(m, columns)}) {
    Shape whole = *leading;
    whole.insert(whole.end(), {rows, cols});
    if (failed(n.check(whole)))
      return failure();
  }
  n.fanIn = k;
  bool transposeA = false, transposeB = false;
  Value left = stackOf(n, 0, a, *leading, transposeA),
        right = left ? stackOf(n, 1, b, *leading, transposeB) : Value();
  if (!right)
    return failure();
  Value y = build(n, {countElements(*leading), m, columns}, left, right, transposeA, transposeB);
  n.set(0, n.reshape(y, result));
  return success();
}

static LogicalResult convertMatMul(NodeContext &n) {
  if (!n.has(0) || !n.has(1))
    return n.error("takes two tensors");
  Shape a = n.shape(0), b = n.shape(1);
  if (a.empty() || b.empty() || failed(n.check(a)) || failed(n.check(b)))
    return a.empty() || b.empty() ? n.error("multiplies a scalar") : failure();
  // Leading dimensions of 1 of the right operand change nothing; a vector is one column.
  Shape leading = b.size() > 2 ? Shape(b.begin(), b.end() - 2) : Shape();
  if (countElements(leading) == 1)
    return convertRows(n, a, b);
  if (a.size() > 1)
    return convertStacks(n, a, b);
  return n.error("multiplies a vector with a stack of matrices (" + shapeText(a) + " times " +
                     shapeText(b) + ")",
                 "give the vector a dimension of 1 in front");
}

void nibble::importer::addMatMulConverters(ConverterTable &table) {
  table["Gemm"] = convertGemm;
  table["MatMul"] = convertMatMul;
}
