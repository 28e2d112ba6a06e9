//===- ConvertReduce.cpp - sums and means over axes --------------------------===//
#include "Importer.h"

using namespace mlir;
using namespace nibble;
using namespace nibble::importer;

using Step = Value (*)(NodeContext &, Value);

static Value asIs(NodeContext &, Value x) { return x; }
static Value squared(NodeContext &n, Value x) { return n.binary<nn::MulOp>(x, x); }
static Value magnitude(NodeContext &n, Value x) { return n.unary<nn::AbsOp>(x); }
static Value root(NodeContext &n, Value x) { return n.unary<nn::SqrtOp>(x); }

/// after(reduce(before(x))).
template <typename Op, Step before = asIs, Step after = asIs>
static LogicalResult convertReduce(NodeContext &n) {
  Value x = n.value(0);
  if (!x)
    return failure();
  Shape shape = n.shape(0);
  int64_t rank = shape.size();
  auto axes = n.integersOf("axes", 1);
  if (axes)
    axes = n.axes(*axes, rank);
  if (!axes)
    return failure();
  if (axes->empty() && n.integer("noop_with_empty_axes", 0) == 0)
    for (int64_t d = 0; d < rank; ++d)
      axes->push_back(d);
  x = before(n, x);
  if (axes->empty()) {
    n.set(0, after(n, x));
    return success();
  }
  Shape kept;
  for (int64_t d = 0; d < rank; ++d)
    if (!llvm::is_contained(*axes, d))
      kept.push_back(shape[d]);
  Value reduced = after(n, Op::create(n.b(), n.loc(), x, *axes));
  n.set(0, n.integer("keepdims", 1) != 0 ? reduced : n.reshape(reduced, kept));
  return success();
}

void nibble::importer::addReduceConverters(ConverterTable &table) {
  table["ReduceSum"] = convertReduce<nn::ReduceSumOp>;
  table["ReduceMean"] = convertReduce<nn::ReduceMeanOp>;
  table["ReduceL1"] = convertReduce<nn::ReduceSumOp, magnitude>;
  table["ReduceL2"] = convertReduce<nn::ReduceSumOp, squared, root>;
  table["ReduceSumSquare"] = convertReduce<nn::ReduceSumOp, squared>;
}
