//===- Finish.cpp - the end of an import: output, loss, what is trained ------===//
#include "Importer.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/Support/Path.h"

using namespace mlir;
using namespace nibble;
using namespace nibble::importer;

/// Decides for every variable whether it is trained, and says why.
static void decideTraining(Importer &importer, llvm::StringMap<Parameter> &parameters) {
  OpBuilder &builder = importer.builder;
  for (auto &entry : parameters) {
    Parameter &parameter = entry.getValue();
    train::VariableOp variable = parameter.variable;
    std::vector<std::string> names = parameter.users;
    names.push_back(variable.getOnnxName().str());
    names.push_back(variable.getSymName().str());
    train::Role role = variable.getRole();
    bool statistic = role == train::Role::RunningStat;
    bool trained = !statistic;
    std::string why = variable->getAttrOfType<StringAttr>("nibble.why").str();
    if (trained && importer.matches(importer.options.freeze, names)) {
      trained = false;
      why += ", frozen by --freeze";
    }
    if (!trained && !statistic && importer.matches(importer.options.train, names)) {
      trained = true;
      why += ", trained by --train";
    }
    if (trained)
      variable.setTrainableAttr(builder.getUnitAttr());
    if (trained && role == train::Role::Weight)
      variable.setDecayAttr(builder.getUnitAttr());
    SmallVector<StringRef> users(parameter.users.begin(), parameter.users.end());
    variable->setAttr("nibble.users", builder.getStrArrayAttr(users));
    variable->setAttr("nibble.why", builder.getStringAttr(why));
  }
}

bool Importer::answersInSequence() {
  bool tokens = llvm::any_of(forward.getArgumentTypes(), [](Type type) {
    return cast<RankedTensorType>(type).getElementType().isInteger(32);
  });
  return options.loss.empty() ? tokens : options.loss == "softmax_cross_entropy";
}

/// Rows that the first table has which the network's tokens are looked up in; 0: no tokens.
static int64_t countTokens(func::FuncOp forward) {
  int64_t rows = 0;
  for (auto embedding : forward.getOps<nn::EmbeddingOp>()) {
    Value tokens = embedding.getTokens();
    while (auto view = tokens.getDefiningOp<nn::ReshapeOp>())
      tokens = view.getX();
    int64_t size = embedding.getTable().getType().getDimSize(0);
    if (isa<BlockArgument>(tokens))
      rows = rows ? std::min(rows, size) : size;
  }
  return rows;
}

std::string Importer::chooseLoss(RankedTensorType output, bool &good) {
  int64_t rank = output.getRank();
  bool classifies = (rank == 2 || (rank == 3 && answersInSequence())) &&
                    output.getDimSize(rank - 1) >= 2 &&
                    (!hasBatch || output.getDimSize(0) == newBatch);
  good = true;
  if (options.loss == "softmax_cross_entropy" && !classifies) {
    problem({"", "",
             "the output '" + outputName + "' has the shape " +
                 shapeText(NodeContext::shapeOf(slots[outputName].value)) +
                 ", cross-entropy takes [batch, classes] or [batch, sequence, classes]",
             "choose another --output, or --loss=mse"});
    good = false;
  }
  if (!options.loss.empty())
    return options.loss;
  return classifies ? "softmax_cross_entropy" : "mse";
}

/// The output as a value of forward; its batch dimension has to have come through.
bool Importer::finishOutput() {
  auto slot = slots.find(outputName);
  if (slot == slots.end() || !slot->second.failed.empty())
    return false; // reported where it happened
  if (slot->second.constant) {
    problem({"", "", "the output '" + outputName + "' does not depend on the input",
             "choose another --output"});
    return false;
  }
  Shape shape = NodeContext::shapeOf(slot->second.value);
  // [batch, classes, 1, 1] is a classifier's output too.
  if (shape.size() > 2 && options.loss != "mse" && options.loss != "bce" && shape[1] >= 2 &&
      llvm::all_of(llvm::drop_begin(shape, 2), [](int64_t d) { return d == 1; }) && hasBatch &&
      shape[0] == newBatch) {
    shape.resize(2);
    slot->second.value = nn::ReshapeOp::create(builder, slot->second.value.getLoc(),
                                               RankedTensorType::get(shape, builder.getF32Type()),
                                               slot->second.value);
  }
  if (hasBatch && batchWasFixed && oldBatch != newBatch &&
      (shape.empty() || shape[0] != newBatch)) {
    problem({"", "",
             "the leading dimension is fixed at " + std::to_string(oldBatch) +
                 " and cannot be set to " + std::to_string(newBatch) + ": the output '" +
                 outputName + "' would have the shape " + shapeText(shape),
             "export the model with a symbolic batch dimension"});
    return false;
  }
  return true;
}

void Importer::finishModule(Value output) {
  bool good;
  auto type = cast<RankedTensorType>(output.getType());
  std::string loss = chooseLoss(type, good);
  if (!good)
    return;
  func::ReturnOp::create(builder, builder.getUnknownLoc(), output);
  forward.setFunctionType(builder.getFunctionType(forward.getArgumentTypes(), type));
  forward.setResultAttr(0, "nn.name", builder.getStringAttr(outputName));
  module->setAttr("nibble.model", builder.getStringAttr(llvm::sys::path::filename(graph.file)));
  module->setAttr("nibble.loss", builder.getStringAttr(loss));
  module->setAttr("nibble.onnx_opset", builder.getI64IntegerAttr(graph.opset));
  if (loss == "softmax_cross_entropy")
    module->setAttr("nibble.classes", builder.getI64IntegerAttr(type.getShape().back()));
  if (int64_t tokens = countTokens(forward))
    module->setAttr("nibble.tokens", builder.getI64IntegerAttr(tokens));
  if (!mergedOp.empty())
    module->setAttr("nibble.merged", builder.getStringAttr(mergedOp));
  SmallVector<NamedAttribute> layers;
  for (auto &entry : layerNodes)
    layers.push_back(builder.getNamedAttr(entry.getKey(), builder.getStringAttr(entry.getValue())));
  module->setAttr("nibble.onnx_nodes", builder.getDictionaryAttr(layers));
  SmallVector<NamedAttribute> norms;
  for (auto &[layer, symbols] : insertedNorms)
    norms.push_back(builder.getNamedAttr(
        layer, builder.getStrArrayAttr(SmallVector<StringRef>(symbols.begin(), symbols.end()))));
  if (!norms.empty())
    module->setAttr("nibble.inserted_norms", builder.getDictionaryAttr(norms));
  SmallVector<StringRef> constants(plainConstants.begin(), plainConstants.end());
  if (!constants.empty())
    module->setAttr("nibble.constants", builder.getStrArrayAttr(constants));
  decideTraining(*this, parameters);
  if (convolutions > 0 && normalizations == 0)
    note("nothing normalizes in this convolutional network: training in 4 bits is easier with "
         "batch normalization. PyTorch's exporter folds it into "
         "the convolutions; export again with torch.onnx.export(model, x, file, optimize=False), "
         "or with "
         "dynamo=False, training=torch.onnx.TrainingMode.TRAINING, do_constant_folding=False; or "
         "let --insert-norm put one behind each convolution");
}
