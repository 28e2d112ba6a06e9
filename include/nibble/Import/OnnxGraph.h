//===- OnnxGraph.h - an ONNX file as a plain C++ graph ------------*- C++ -*-===//
//
// The door to the ONNX library: the one target behind it (NibbleOnnx) is built with exceptions and
// sees protobuf; nothing here throws, and no type of the library shows.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "nibble/Import/HostTensor.h"

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace nibble::importer {

/// Something that keeps a file from being imported, in the words of the person who can act.
struct Problem {
  std::string node;   // ONNX node name; empty: the whole file
  std::string op;     // ONNX operator; empty where there is none
  std::string reason; // what was seen and what was expected
  std::string advice; // what to do
};

struct Dimension {
  int64_t value = -1; // -1: not known
  std::string symbol; // its name where it is symbolic
};

/// A graph input or output, or an inferred type.
struct ValueInfo {
  std::string name;
  DataType type = DataType::Undefined; // Undefined: not a tensor, or not known
  bool hasShape = false;
  std::vector<Dimension> dims;

  /// The shape where every dimension is known.
  std::optional<std::vector<int64_t>> staticShape() const;
};

struct Attribute {
  enum class Kind { Float, Int, String, Tensor, Floats, Ints, Strings, Other };
  std::string name;
  Kind kind = Kind::Other; // Other: subgraphs, types, sparse tensors
  double f = 0;
  int64_t i = 0;
  std::string s;
  std::vector<float> floats;
  std::vector<int64_t> ints;
  std::vector<std::string> strings;
  std::shared_ptr<const HostTensor> tensor;
};

struct Node {
  std::string name, op, domain;             // domain "" is ONNX's own
  std::vector<std::string> inputs, outputs; // "" is an absent optional one
  std::vector<Attribute> attributes;

  const Attribute *find(const std::string &attribute) const;
};

struct Graph {
  std::string file;
  int64_t opset = 0, irVersion = 0;
  std::vector<Node> nodes;       // in the file's order, which the checker wants topological
  std::vector<ValueInfo> inputs; // without those that are initializers too
  std::vector<ValueInfo> outputs;
  std::map<std::string, std::shared_ptr<const HostTensor>> initializers;
  /// Types that the file records of values between nodes, with the file's own batch size; not
  /// checked.
  std::map<std::string, ValueInfo> recorded;
  /// What a person should know of how the file was read.
  std::vector<std::string> notes;
};

/// One loaded file. External data is read and local functions are inlined.
class OnnxFile {
public:
  /// Loads `path`: size limits, parse, external data (only files beneath the model's folder),
  /// ONNX's checker. Null where no graph could be made of it; what was wrong is in `problems`,
  /// which may also hold problems of a graph that is returned (so that the caller can add its own
  /// before giving up).
  static std::unique_ptr<OnnxFile> load(const std::string &path, std::vector<Problem> &problems);

  const Graph &graph() const { return contents; }

private:
  OnnxFile() = default;
  Graph contents;
};

/// The external data files that an ONNX file names, relative to its folder, sorted; nothing where it
/// cannot be parsed. Not checked in any way.
std::vector<std::string> externalFiles(const std::string &path);

/// Reads a file that holds one TensorProto (ONNX's recorded test data). Returns an empty string, or
/// what went wrong.
std::string readTensorFile(const std::string &path, HostTensor &tensor);

/// New contents of initializers (or of the values of Constant nodes): name to elements in ONNX's
/// own layout.
using NewValues = std::map<std::string, std::vector<float>>;

/// New shapes of those whose number of elements changed (a fresh head).
using NewShapes = std::map<std::string, std::vector<int64_t>>;

/// One operand of one product in numbers of few bits, as it is written into a file: x or w becomes
/// DequantizeLinear(codes), a value's codes QuantizeLinear(Clip(x)).
struct QuantizedOperand {
  std::string node; // first output of the ONNX node
  size_t input = 0;
  /// int4: -8 ... 7, uint4: 0 ... 15, int8.
  enum class Codes { Int4, UInt4, Int8 } codes = Codes::Int4;
  float scale = 1;
  int zeroPoint = 0;
  /// Codes that may occur: ends of the level set.
  int low = -7, high = 7;
  /// Bounds that are part of the network's meaning (a learned clip), or that the type's own ends do
  /// not keep. Not for weights.
  std::optional<std::pair<float, float>> clip;
  /// A constant: its codes go into the file. False: it depends on data.
  bool isWeight = false;
};

/// A batch normalization that the source does not have.
struct InsertedNorm {
  /// First output of the ONNX node that it stands behind; its name afterwards.
  std::string node, name;
  /// scale, shift, mean, variance.
  std::vector<float> values[4];
  float epsilon = 1e-5f;
};

struct WriteOptions {
  /// None: a float file. Otherwise the file is brought to opset 21 where it is older.
  std::vector<QuantizedOperand> quantized;
  std::vector<InsertedNorm> norms;
  /// A larger file keeps its weights beside it, in FILE.data.
  int64_t externalDataAbove = int64_t(1500) * 1000 * 1000;
};

/// Copies the model `source` to `target` with new contents for the named initializers, each in its
/// type (float, half, bfloat16, double), external data taken into the file. Quantization in the
/// source is read as floats, as in OnnxFile::load; batch normalization and dropout take their
/// inference form. The result passes ONNX's checker, or nothing is written; `target` appears whole
/// (written beside, flushed to the disk, renamed). Returns an empty string, or what went wrong.
std::string writeOnnx(const std::string &source, const std::string &target, const NewValues &values,
                      const NewShapes &shapes = {}, const WriteOptions &options = {});

} // namespace nibble::importer
