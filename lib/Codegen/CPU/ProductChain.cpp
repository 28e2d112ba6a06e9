//===- ProductChain.cpp - a product, and the loop that reads its results ------===//
//
// The product is made a pass at a time (ContractionEmitter.h); after each pass the element-wise
// loop goes over its results, which are in the caches then and need not lie in memory in full. The
// loop is that of a group of its own, whose last argument is the product's result.
//
//===----------------------------------------------------------------------===//
#include "ChannelSums.h"
#include "ContractionBuilder.h"
#include "Emitters.h"

#include "nibble/Analysis/StridedView.h"
#include "nibble/Codegen/CPU/ContractionEmitter.h"

#include "mlir/IR/IRMapping.h"
#include "mlir/IR/Matchers.h"

using namespace nibble::codegen;
namespace plan = nibble::plan;

Operation *nibble::codegen::chainedProduct(Block &body) {
  Operation *product = nullptr;
  bool others = false;
  for (Operation &op : body) {
    if (nibble::isContraction(&op)) {
      if (product)
        return nullptr;
      product = &op;
    } else {
      others |= !isSilent(&op);
    }
  }
  return others ? product : nullptr;
}

namespace {
/// The two parts of a chain's body.
struct Chain {
  explicit Chain(Block &body);

  Block &block() { return reader.front(); }
  BlockArgument result() { return block().getArguments().back(); }

  Operation *product;
  Region reader;                   // what reads the product's result, its block's last argument
  SmallVector<unsigned> arguments; // of the chain, that the reader's other arguments are
  SmallVector<unsigned> yields;    // of the chain, that are the reader's
  std::optional<unsigned> stored;  // what the chain yields that is the product's result
};
} // namespace

Chain::Chain(Block &body) : product(chainedProduct(body)) {
  OpBuilder b(product->getContext());
  b.setInsertionPointToEnd(&reader.emplaceBlock());
  IRMapping map;
  auto isOfProduct = [&](Operation *op) { return op == product || isa<plan::PackedOp>(op); };
  auto isRead = [&](BlockArgument argument) {
    return !llvm::all_of(argument.getUsers(), isOfProduct);
  };
  for (BlockArgument argument : body.getArguments())
    if (isRead(argument)) {
      arguments.push_back(argument.getArgNumber());
      map.map(argument, block().addArgument(argument.getType(), argument.getLoc()));
    }
  Value made = product->getResult(0);
  map.map(made, block().addArgument(made.getType(), made.getLoc()));
  for (Operation &op : body.without_terminator())
    if (!isOfProduct(&op))
      b.clone(op, map);
  SmallVector<Value> values;
  for (auto [i, value] : llvm::enumerate(body.getTerminator()->getOperands())) {
    if (sourceOf(value) == made) {
      stored = i;
      continue;
    }
    yields.push_back(i);
    values.push_back(map.lookup(value));
  }
  plan::YieldOp::create(b, product->getLoc(), values);
}

/// Is the value read at other places than its own?
static bool isMoved(Value value) {
  return llvm::any_of(value.getUsers(), [](Operation *user) {
    return isa<nibble::nn::ReshapeOp>(user) ? isMoved(user->getResult(0))
                                            : nibble::movesElements(user);
  });
}

static int64_t unitElements(Chain &chain) {
  ChannelShape unit = unitOf(chain.block(), chain.result());
  return unit.blockRows * unit.channels;
}

/// The product's scratch, then that of the loop.
static SmallVector<int64_t> partsOf(Chain &chain, const nibble::CpuTarget &target) {
  SmallVector<int64_t> parts{nibble::contractionScratchBytes(
      chain.product, target, {unitElements(chain), chain.stored.has_value()})};
  parts.append(elementwiseScratch(chain.block(), chain.result()));
  return parts;
}

int64_t nibble::codegen::chainScratchBytes(Block &body, const CpuTarget &target) {
  Chain chain(body);
  return totalBytes(partsOf(chain, target));
}

LogicalResult nibble::codegen::emitChain(plan::GroupOp op, OpBuilder &b, ConstantPool &pool,
                                         const CpuTarget &target) {
  Chain chain(op.getBody().front());
  if (!llvm::all_of(chain.block().without_terminator(), isInLoop) || isMoved(chain.result()))
    return op.emitOpError(
        "holds ops beside a product that do not read its result element by element");
  FailureOr<SmallVector<Value>> operands = operandBuffers(op, chain.product);
  if (failed(operands))
    return failure();

  SmallVector<int64_t> parts = partsOf(chain, target);
  Value stored = chain.stored ? op.getOutputs()[*chain.stored] : Value();
  SmallVector<Value> inputs, outputs;
  for (unsigned i : chain.arguments)
    inputs.push_back(op.getInputs()[i]);
  for (unsigned i : chain.yields)
    outputs.push_back(op.getOutputs()[i]);
  auto loop = plan::GroupOp::create(b, op.getLoc(), inputs, outputs, op.getScratch(),
                                    ArrayRef<int64_t>(), ArrayRef<int64_t>());
  loop.getBody().takeBody(chain.reader);
  auto result = cast<BlockArgument>(loop.getBody().front().getArguments().back());
  Group reader(loop, b, pool, /*hasScalef=*/target.vectorBits == 512);
  reader.parts = parts;
  if (failed(reader.prepare()))
    return failure();
  LogicalResult made = success();
  Chained chained;
  chained.emit = [&](int64_t unit, function_ref<void(Value)> read) {
    auto readPass = [&](Value results, Value begin, Value first, Value units) {
      auto type = cast<RankedTensorType>(result.getType());
      reader.setInput(result, {results, nullptr, type, begin});
      reader.e.parallel(first, reader.e.add(first, units), read);
    };
    nibble::ResultReader results{unit, readPass};
    made = nibble::emitContraction(chain.product, *operands, stored, op.getScratch(), b, target,
                                   &results);
  };
  chained.streams = [&](int64_t bytes) { return contraction::streamsResults(target, bytes); };
  chained.drain = [&] { contraction::Emit{b, op.getLoc(), target, Value()}.drainStores(); };
  LogicalResult done = emitElementwise(reader, &chained);
  loop.erase();
  return success(succeeded(made) && succeeded(done));
}
