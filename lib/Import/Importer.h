//===- Importer.h - private to the room: what converters work with -*- C++ -*-===//
//
// One Importer walks the graph once, in the file's order. Each ONNX value is a Slot: a constant on
// the host (an initializer, or what folds to a constant) or an SSA value of f32 in ONNX's own
// layout. A converter sees its node through a NodeContext: inputs by position, attributes by name,
// shapes always static. It validates before it builds, and what it cannot do it reports with
// error(), in words for the person who can act.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "nibble/Dialect/NN/IR/NN.h"
#include "nibble/Dialect/Train/IR/Train.h"
#include "nibble/Import/Import.h"
#include "nibble/Import/OnnxGraph.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringSet.h"

namespace nibble::importer {

using Shape = std::vector<int64_t>;

/// How a constant was moved from its initializer: transposes and reshapes in order. As text
/// (train.variable's `layout`): "OHWI" is perm 0,2,3,1, "T" is perm 1,0, others "perm:2,0,1" and
/// "reshape:16x4"; several are joined by ';'.
struct LayoutStep {
  bool isPerm = false;
  Shape numbers; // the permutation, or the new shape
  bool operator==(const LayoutStep &other) const = default;
};
using Layout = std::vector<LayoutStep>;
std::string layoutText(const Layout &layout);
/// Appends a step; identities vanish, reshape follows reshape as one.
void addStep(Layout &layout, LayoutStep step, const Shape &shapeBefore);
HostTensor applyLayout(const HostTensor &tensor, const Layout &layout);

/// A host constant and where it comes from.
struct Constant {
  std::shared_ptr<const HostTensor> tensor;
  std::string root; // initializer (or value of a Constant node) that it is a view of; its own name
                    // if computed
  std::shared_ptr<const HostTensor> rootTensor;
  Layout layout;       // root to tensor
  bool stored = false; // root is in the file
};

struct Slot {
  std::optional<Constant> constant;
  mlir::Value value;
  std::string failed;   // why there is neither (empty: there is)
  bool isInput = false; // a graph input, or a mere view of one
};

class NodeContext;
using Converter = llvm::LogicalResult (*)(NodeContext &);
using ConverterTable = llvm::StringMap<Converter>;

/// One family a file.
void addCompareConverters(ConverterTable &table);
void addEinsumConverters(ConverterTable &table);
void addConvolutionConverters(ConverterTable &table);
void addMatMulConverters(ConverterTable &table);
void addAttentionConverters(ConverterTable &table);
void addElementwiseConverters(ConverterTable &table);
void addActivationConverters(ConverterTable &table);
void addPoolConverters(ConverterTable &table);
void addNormConverters(ConverterTable &table);
void addShapeConverters(ConverterTable &table);
void addSliceConverters(ConverterTable &table);
void addReduceConverters(ConverterTable &table);
void addInstanceNormConverters(ConverterTable &table);
void addRecurrentConverters(ConverterTable &table);
void addResizeConverters(ConverterTable &table);
void addTransposedConvolutionConverters(ConverterTable &table);
/// Operators on host constants only.
void addArithmeticFolds(ConverterTable &table);
void addShapeFolds(ConverterTable &table);
void addIndexingFolds(ConverterTable &table);
const ConverterTable &converterTable();
const ConverterTable &foldTable();

/// What is decided about one weight, for the list and the variable's attributes.
struct Parameter {
  train::VariableOp variable;
  mlir::Value read; // at the top of forward
  Layout layout;
  Shape rootShape;
  std::vector<std::string> users;
};

class Importer {
public:
  Importer(const Graph &graph, const ImportOptions &options, mlir::MLIRContext &context,
           ImportNotes &notes);
  mlir::OwningOpRef<mlir::ModuleOp> run();

  /// The weight as an SSA value with `extra` applied to the constant's own view. Creates the
  /// variable at its first use.
  mlir::Value parameter(NodeContext &node, const Constant &constant, train::Role role,
                        const Layout &extra = {});
  void problem(const Node &node, std::string reason, std::string advice = "");
  void problem(Problem problem);
  void note(std::string text);
  /// Converts a node of the file, or one of several that say what a node of the file does. (The
  /// outputs of these need names that no value has.)
  void convertNode(const Node &node);
  /// Does one of the expressions occur in one of the names?
  bool matches(const std::vector<std::string> &expressions, llvm::ArrayRef<std::string> names);
  /// May an output of rank 3 be [batch, sequence, classes]? With tokens, or where cross-entropy is
  /// asked for.
  bool answersInSequence();
  /// A name that no variable and no layer has yet.
  std::string uniqueSymbol(std::string name);
  std::string uniqueLayer(std::string name);

  const ImportOptions &options;
  const Graph &graph;
  mlir::OpBuilder builder;
  mlir::ModuleOp module;
  mlir::func::FuncOp forward;
  llvm::StringMap<Slot> slots;
  llvm::StringMap<std::string>
      producers; // variables' roots are initializers or outputs of these nodes
  /// Leading dimension of the input in the file (1 where symbolic) and now.
  int64_t oldBatch = 0, newBatch = 0;
  bool batchWasFixed = false, hasBatch = false;
  llvm::StringSet<> reinitialized; // roots of a fresh head
  /// Layer to the first output of its ONNX node: how an export finds the node again.
  llvm::StringMap<std::string> layerNodes;
  /// Normalizations that were put in: layer to its variables (scale, shift, mean, variance).
  llvm::MapVector<std::string, llvm::SmallVector<std::string, 4>, std::map<std::string, unsigned>>
      insertedNorms;
  std::string mergedNode; // output of the final Softmax that the loss takes over
  std::string mergedOp;
  int64_t convolutions = 0, normalizations = 0;
  int64_t recurrentSteps = 0;                // of all recurrent nodes, each direction counted
  int64_t foldedElements = 0, foldLimit = 0; // 0: not computed yet

private:
  bool bindInputs();
  bool bindInput(ValueInfo &info, bool primary);
  void collectNeeded();
  void findMergedSoftmax();
  bool replaceHead();
  void convertNodes();
  const Node &alignOperand(const Node &node, Node &rewritten);
  void reportUnknown(const Node &node);
  std::optional<Shape> recordedShape(const std::string &value);
  void afterFailure(const Node &node);
  bool finishOutput();
  void finishModule(mlir::Value output);
  std::string chooseLoss(mlir::RankedTensorType output, bool &good);
  mlir::OwningOpRef<mlir::ModuleOp> emitProblems();
  HostTensor initialValue(const HostTensor &value, const std::string &root, train::Role role,
                          int64_t fanIn);
  train::VariableOp createVariable(NodeContext &node, const Constant &constant, train::Role role,
                                   const Layout &layout);
  mlir::Value viewParameter(const Parameter &parameter, const Layout &wanted, mlir::Location loc);

  mlir::MLIRContext &context;
  ImportNotes &notes;
  std::vector<Problem> problems;
  std::string batchSymbol; // name of the input's leading dimension
  std::string outputName;
  llvm::StringSet<> needed; // values that the output depends on
  llvm::StringMap<Parameter> parameters;
  llvm::StringSet<> symbols, layers, exported;
  llvm::StringMap<int> lastSymbol, lastLayer, lastStatistic; // numbers given to equal names
  std::vector<std::string> plainConstants;
  friend class NodeContext;
};

/// The node that is being converted.
class NodeContext {
public:
  NodeContext(Importer &importer, const Node &node);

  // Inputs. Positions beyond the node's inputs are absent ones.
  bool has(size_t i) const { return i < node.inputs.size() && !node.inputs[i].empty(); }
  size_t inputs() const { return node.inputs.size(); }
  const Constant *constant(size_t i) const;
  /// The host tensor, null where the input is absent or not constant.
  const HostTensor *host(size_t i) const;
  Shape shape(size_t i) const;
  bool isValue(size_t i) const { return has(i) && !constant(i); }
  /// Is it the network's input of tokens, or a view of it: whole numbers (i32), which only views
  /// and Gather take?
  bool isTokens(size_t i) const;
  /// As an f32 SSA value; constants become arith.constant. Null (error reported) where the constant
  /// is not floating.
  mlir::Value value(size_t i);
  mlir::Value parameter(size_t i, train::Role role, const Layout &extra = {}) {
    return importer.parameter(*this, *constant(i), role, extra);
  }
  /// Integers of a constant input of rank <= 1, or nothing (reported) where it is no such thing.
  std::optional<Shape> integers(size_t i, llvm::StringRef what);
  /// Attribute `name`, or input `i` in newer opsets; empty where both are absent. Nothing:
  /// reported.
  std::optional<Shape> integersOf(llvm::StringRef name, size_t i);
  /// A constant scalar (one element), or nothing where it is not one.
  std::optional<double> scalar(size_t i) const;

  // Attributes.
  int64_t integer(llvm::StringRef name, int64_t otherwise) const;
  double real(llvm::StringRef name, double otherwise) const;
  std::string text(llvm::StringRef name, llvm::StringRef otherwise) const;
  Shape ints(llvm::StringRef name, Shape otherwise = {}) const;
  bool hasAttribute(llvm::StringRef name) const { return node.find(name.str()); }
  /// An axis made non-negative; nothing (reported) where it is outside [-rank, rank).
  std::optional<int64_t> axis(int64_t value, int64_t rank);
  /// Sorted, unique, non-negative; nothing: reported.
  std::optional<Shape> axes(Shape values, int64_t rank);

  // Results.
  void set(size_t i, mlir::Value value);
  void set(size_t i, HostTensor tensor);
  /// A view of input 0 when that is constant (keeps where it came from).
  void setView(const Constant &constant, LayoutStep step);
  void alias(size_t input); // output 0 is that input
  bool wants(size_t output) const;

  llvm::LogicalResult error(const llvm::Twine &reason, llvm::StringRef advice = "");
  /// Checks that a result of this shape can be built: positive dimensions, at most kMaxElements.
  llvm::LogicalResult check(const Shape &shape);
  /// Checks that a folded constant of this shape is within what folding may make in all, and counts
  /// it.
  llvm::LogicalResult checkFold(const Shape &shape);

  // Building.
  mlir::OpBuilder &b() { return importer.builder; }
  mlir::Location loc() { return location; }
  mlir::RankedTensorType type(const Shape &shape);
  mlir::Value constantLike(const HostTensor &tensor);
  mlir::Value splat(float value);
  mlir::Value reshape(mlir::Value x, const Shape &shape);
  /// nn.transpose, composed with one that made x; nothing is built for the identity.
  mlir::Value transpose(mlir::Value x, llvm::ArrayRef<int64_t> perm);
  /// (N, C, ...) to (N, ..., C) and back.
  mlir::Value toChannelsLast(mlir::Value x);
  mlir::Value fromChannelsLast(mlir::Value x);
  /// Element-wise op with NumPy broadcasting; null (reported) where the shapes do not broadcast.
  template <typename Op> mlir::Value binary(mlir::Value a, mlir::Value c) {
    if (llvm::failed(checkBroadcast(shapeOf(a), shapeOf(c))))
      return {};
    return Op::create(b(), loc(), a, c);
  }
  template <typename Op> mlir::Value unary(mlir::Value x) {
    return Op::create(b(), loc(), x.getType(), x);
  }
  llvm::LogicalResult checkBroadcast(const Shape &a, const Shape &b);
  static Shape shapeOf(mlir::Value value);
  /// The layer's name: the node's, or else its weight's.
  std::string layerName(size_t weight);

  Importer &importer;
  const Node &node;
  const int64_t opset;
  /// Length of the contraction whose weight is asked for: the bound of fresh values.
  int64_t fanIn = 1;

private:
  mlir::Location location;
};

/// The convolution's output y (channels last) through a batch normalization of its own where
/// --insert-norm asks for one; null: reported.
mlir::Value insertNorm(NodeContext &node, mlir::Value y, llvm::StringRef layer);

/// mask ? a : b of `shape`, which mask, a and b broadcast to; null: reported.
mlir::Value chooseByMask(NodeContext &node, const HostTensor &mask, const Shape &shape,
                         mlir::Value a, mlir::Value b);

/// The same by a condition that depends on the data: 1 and 0 in f32 (ConvertCompare.cpp).
mlir::Value chooseByCondition(NodeContext &node, mlir::Value condition, const Shape &shape,
                              mlir::Value a, mlir::Value b);

/// Shape of a tensor that is repeated so many times along each dimension; nothing: reported.
std::optional<Shape> tiledShape(NodeContext &node, const Shape &shape, const Shape &repeats);

/// A double in the shortest usual form.
std::string numberText(double value);
/// The joined shape of two that broadcast, or nothing.
std::optional<Shape> broadcastShape(const Shape &a, const Shape &b);
/// Does this value come out of a contraction (through views and casts), or out of a normalization's
/// division or product?
bool followsContraction(mlir::Value value);
bool followsNormalization(mlir::Value value);
/// Or out of an embedding?
bool followsEmbedding(mlir::Value value);
/// Resolves 0 and -1 of a Reshape; nothing (reported) where the counts do not fit.
std::optional<Shape> resolveReshape(NodeContext &node, const Shape &from, Shape to);
/// Do input and weight of a convolution (transposed or not) have the rank of a 1-d or 2-d one, and sizes that can be built?
llvm::LogicalResult checkConvolution(NodeContext &node);
/// Window arithmetic shared by Conv and pools, one spatial dimension each.
struct Window {
  Shape kernel, strides, dilations, pads; // pads: all begins, then all ends
  Shape outputs;
};
/// Reads kernel_shape (or `kernel`), strides, dilations, pads, auto_pad, ceil_mode. Nothing:
/// reported.
std::optional<Window> readWindow(NodeContext &node, const Shape &spatial, Shape kernel, bool pool);

} // namespace nibble::importer
