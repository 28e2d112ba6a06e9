//===- OnnxFile.cpp - load, check and copy an ONNX file ----------------------===//
//
// Whatever the ONNX library or protobuf throws ends here as a Problem.
//
//===----------------------------------------------------------------------===//
#include "Decode.h"

#include "onnx/checker.h"
#include "onnx/defs/schema.h"
#include "onnx/inliner/inliner.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/message.h>
#include <google/protobuf/stubs/logging.h>
#include <google/protobuf/wire_format_lite.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <stdexcept>

using namespace nibble::importer;
namespace fs = std::filesystem;

namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::internal::WireFormatLite;
using google::protobuf::io::CodedInputStream;

/// Counts the parts of a message in its bytes: strings and messages may take two bytes in a file
/// and hundreds in memory, so they are counted before they are parsed.
class PartCount {
public:
  /// False where there are too many. What is no message is left to the parser.
  bool fits(CodedInputStream &in, const google::protobuf::Descriptor *type, int level = 0) {
    while (uint32_t tag = in.ReadTag()) {
      if (WireFormatLite::GetTagWireType(tag) != WireFormatLite::WIRETYPE_LENGTH_DELIMITED) {
        if (!WireFormatLite::SkipField(&in, tag))
          return true;
        continue;
      }
      const FieldDescriptor *field =
          type->FindFieldByNumber(WireFormatLite::GetTagFieldNumber(tag));
      bool isMessage = field && field->type() == FieldDescriptor::TYPE_MESSAGE;
      parts += isMessage ? kMessage : 1;
      uint32_t length = 0;
      if (parts > kMost || !in.ReadVarint32(&length))
        return parts <= kMost;
      if (length > static_cast<uint32_t>(in.BytesUntilLimit()))
        return true;
      if (!isMessage || level >= kLevels) {
        if (!in.Skip(static_cast<int>(length)))
          return true;
        continue;
      }
      auto limit = in.PushLimit(static_cast<int>(length));
      if (!fits(in, field->message_type(), level + 1))
        return false;
      in.Skip(in.BytesUntilLimit()); // where it stopped at damage
      in.PopLimit(limit);
    }
    return true;
  }

private:
  static constexpr uint64_t kMost = 8'000'000, kMessage = 4;
  static constexpr int kLevels = 100; // protobuf's own
  uint64_t parts = 0;
};

} // namespace

void nibble::importer::parseMessage(const std::string &path, google::protobuf::Message &message) {
  static const auto quiet =
      google::protobuf::SetLogHandler(nullptr); // its messages go into our errors instead of stderr
  (void)quiet;
  std::error_code error;
  if (!fs::exists(path, error))
    throw std::runtime_error("there is no such file");
  if (!fs::is_regular_file(path, error))
    throw std::runtime_error("is not a regular file");
  uint64_t size = fs::file_size(path);
  if (size == 0)
    throw std::runtime_error("the file is empty");
  if (size > static_cast<uint64_t>(INT32_MAX))
    throw std::runtime_error(
        "the file has " + std::to_string(size) +
        " bytes; an ONNX file has less than 2 GiB (larger weights lie in external data)");
  std::string bytes(size, '\0');
  std::ifstream file(path, std::ios::binary);
  if (!file.read(bytes.data(), static_cast<std::streamsize>(size)))
    throw std::runtime_error("cannot be read");
  CodedInputStream counted(reinterpret_cast<const uint8_t *>(bytes.data()), static_cast<int>(size));
  counted.PushLimit(static_cast<int>(size));
  if (!PartCount().fits(counted, message.GetDescriptor()))
    throw std::runtime_error("has more than two million nodes, attributes and other parts");
  CodedInputStream stream(reinterpret_cast<const uint8_t *>(bytes.data()), static_cast<int>(size));
  stream.SetTotalBytesLimit(INT32_MAX);
  if (!message.ParseFromCodedStream(&stream) || !stream.ConsumedEntireMessage())
    throw std::runtime_error("is not an ONNX file, or it is truncated or damaged");
}

void nibble::importer::parseModel(const std::string &path, onnx::ModelProto &model) {
  parseMessage(path, model);
  if (!model.has_graph())
    throw std::runtime_error("holds no graph");
}

/// Version of ONNX's own operators; 0 where the file imports none.
static int64_t opsetOf(const onnx::ModelProto &model) {
  for (const auto &opset : model.opset_import())
    if (opset.domain().empty() || opset.domain() == "ai.onnx")
      return opset.version();
  return 0;
}

static int64_t newestOpset() {
  return onnx::OpSchemaRegistry::DomainToVersionRange::Instance().Map().at("").second;
}

/// One line of a library's message, without the names of its source files.
static std::string firstLine(std::string text) {
  if (auto end = text.find('\n'); end != std::string::npos)
    text.resize(end);
  if (auto failed = text.find("` failed: "); failed != std::string::npos)
    text = text.substr(failed + 10);
  return text;
}

/// Runs `action`; what it throws becomes a problem. Returns whether it went through.
template <typename Action>
static bool guarded(std::vector<Problem> &problems, const std::string &prefix,
                    const std::string &advice, Action action) {
  try {
    action();
    return true;
  } catch (const std::bad_alloc &) {
    problems.push_back({"", "", prefix + "needs more memory than there is",
                        "is the file damaged? A tensor's size may be absurd"});
  } catch (const std::exception &e) {
    problems.push_back({"", "", prefix + firstLine(e.what()), advice});
  } catch (...) {
    problems.push_back({"", "", prefix + "failed for an unknown reason", advice});
  }
  return false;
}

/// Names that two things claim: the checker does not look at all of them.
static void checkNames(const onnx::GraphProto &graph, std::vector<Problem> &problems) {
  std::set<std::string> taken;
  for (const auto &tensor : graph.initializer())
    if (!taken.insert(tensor.name()).second)
      problems.push_back({"", "", "two initializers are named '" + tensor.name() + "'", ""});
  for (const auto &node : graph.node())
    for (const auto &output : node.output())
      if (!output.empty() && !taken.insert(output).second)
        problems.push_back({node.name(), node.op_type(),
                            "its output '" + output + "' has the name of another value",
                            "names of values must be unique"});
}

static void fillGraph(onnx::ModelProto &model, Graph &graph) {
  for (auto &tensor : *model.mutable_graph()->mutable_initializer()) {
    graph.initializers[tensor.name()] = std::make_shared<HostTensor>(decodeTensor(tensor));
    tensor.clear_raw_data(); // never two copies of all weights at once
  }
  for (const auto &input : model.graph().input())
    if (!graph.initializers.count(input.name()))
      graph.inputs.push_back(convertValueInfo(input));
  for (const auto &output : model.graph().output())
    graph.outputs.push_back(convertValueInfo(output));
  for (const auto &node : model.graph().node())
    graph.nodes.push_back(convertNode(node));
  for (const auto &info : model.graph().value_info())
    graph.recorded[info.name()] = convertValueInfo(info);
  for (const ValueInfo &output : graph.outputs)
    graph.recorded[output.name] = output;
}

namespace {

/// How many nodes a graph has once its calls of local functions are inlined. Functions that call
/// each other can double at each level, so this is known before it is done.
class InlinedSize {
public:
  explicit InlinedSize(const onnx::ModelProto &model) {
    for (const auto &function : model.functions())
      functions[{function.domain(), function.name()}].push_back(&function);
  }

  /// Throws where there are more than kMaxNodes.
  template <typename Nodes> uint64_t count(const Nodes &nodes, int level = 0) {
    uint64_t total = 0;
    for (const onnx::NodeProto &node : nodes) {
      total += 1 + call(node, level);
      if (level > 0) // a copy for each call, with the constants that it holds
        total += node.ByteSizeLong() / kBytesOfNode;
      for (const auto &attribute : node.attribute()) {
        total += attribute.has_g() ? count(attribute.g().node(), level) : 0;
        for (const auto &graph : attribute.graphs())
          total += count(graph.node(), level);
      }
      if (total > kMaxNodes)
        throw std::runtime_error("its functions make more than " + std::to_string(kMaxNodes) +
                                 " nodes once each call is written out");
    }
    return total;
  }

private:
  static constexpr uint64_t kMaxNodes = 200000, kBytesOfNode = 256;
  static constexpr int kMaxLevels = 200; // of functions that call functions; ends a cycle, too

  /// Overloads of one name count as their largest.
  uint64_t call(const onnx::NodeProto &node, int level) {
    auto found = functions.find({node.domain(), node.op_type()});
    if (found == functions.end())
      return 0;
    if (level > kMaxLevels)
      throw std::runtime_error("function '" + node.op_type() +
                               "' calls itself, or functions call " + "each other more than " +
                               std::to_string(kMaxLevels) + " levels deep");
    auto [known, isNew] = counts.try_emplace(found->first, 0);
    uint64_t most = known->second;
    if (most == 0)
      for (const onnx::FunctionProto *function : found->second)
        most = std::max(most, count(function->node(), level + 1));
    return counts[found->first] = most;
  }

  std::map<std::pair<std::string, std::string>, std::vector<const onnx::FunctionProto *>> functions;
  std::map<std::pair<std::string, std::string>, uint64_t> counts;
};

} // namespace

/// Checker and inlining of local functions. ONNX's version converter is not used:
/// docs/rationale/import.md says why.
static void normalize(onnx::ModelProto &model, std::vector<Problem> &problems) {
  if (model.ir_version() < 3 &&
      model.opset_import_size() == 0) { // which means operators of version 1
    model.add_opset_import()->set_version(1);
    model.set_ir_version(3);
  }
  int64_t opset = opsetOf(model), newest = newestOpset();
  if (opset < 1)
    problems.push_back({"", "", "imports no version of ONNX's operators (opset_import)",
                        "export the model again"});
  else if (opset > newest)
    problems.push_back({"", "",
                        "uses opset " + std::to_string(opset) + "; the newest known here is " +
                            std::to_string(newest),
                        "export with opset_version=" + std::to_string(newest)});
  if (!problems.empty())
    return;
  if (!guarded(problems, "ONNX's checker: ", "the file is not valid ONNX: export it again",
               [&] { onnx::checker::check_model(model); }))
    return;
  if (model.functions_size() > 0)
    guarded(problems, "inlining the model's functions: ", "", [&] {
      InlinedSize(model).count(model.graph().node());
      onnx::inliner::InlineLocalFunctions(model);
    });
}

std::unique_ptr<OnnxFile> OnnxFile::load(const std::string &path, std::vector<Problem> &problems) {
  onnx::ModelProto model;
  if (!guarded(problems, "", "", [&] {
        parseModel(path, model);
        readExternalData(model, fs::path(path).parent_path().string());
      }))
    return nullptr;
  std::unique_ptr<OnnxFile> file(new OnnxFile);
  checkNames(model.graph(), problems);
  normalize(model, problems);
  Graph &graph = file->contents;
  if (problems.empty())
    guarded(problems, "", "is the file damaged?", [&] {
      if (std::string note = readQuantized(model); !note.empty())
        graph.notes.push_back(note);
    });
  graph.file = path;
  graph.opset = opsetOf(model);
  graph.irVersion = model.ir_version();
  if (model.graph().sparse_initializer_size() > 0)
    problems.push_back({"", "", "has sparse initializers", "store the weights as dense tensors"});
  if (!guarded(problems, "", "", [&] { fillGraph(model, graph); }))
    return nullptr;
  return file;
}

std::string nibble::importer::readTensorFile(const std::string &path, HostTensor &tensor) {
  try {
    onnx::TensorProto proto;
    parseMessage(path, proto);
    tensor = decodeTensor(proto);
    return "";
  } catch (const std::exception &e) {
    return path + ": " + e.what();
  }
}
