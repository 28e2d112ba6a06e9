//===- NodeTests.cpp - imported operators compute what ONNX recorded ---------===//
//
// Folders in the layout of ONNX's own operator tests: NAME/model.onnx,
// NAME/test_data_set_0/{input,output}_N.pb. Taken from NIBBLE_NODE_TESTS, or else
// NIBBLE_DATA/onnx-node-tests (and simple networks from NIBBLE_DATA); skipped where there are none.
//
//===----------------------------------------------------------------------===//
#include "nibble/Import/Import.h"
#include "nibble/Import/OnnxGraph.h"
#include "nibble/Import/Pipeline.h"
#include "nibble/Reference/Interpreter.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/Pass/PassManager.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <iostream>

using namespace nibble;
using importer::HostTensor;
namespace fs = std::filesystem;

static fs::path folderOfTests() {
  if (const char *given = std::getenv("NIBBLE_NODE_TESTS"))
    return given;
  const char *data = std::getenv("NIBBLE_DATA");
  return data ? fs::path(data) / "onnx-node-tests" : fs::path();
}

namespace {
enum class Outcome { NotImported, Same, Different };
} // namespace

/// What the interpreter makes of the recorded inputs; empty text, or what differs.
static std::string compare(mlir::ModuleOp module, const fs::path &folder) {
  auto forward = *module.getOps<mlir::func::FuncOp>().begin();
  std::vector<importer::Problem> problems;
  auto file = importer::OnnxFile::load((folder / "model.onnx").string(), problems);
  llvm::SmallVector<reference::Tensor<float>> arguments;
  for (unsigned i = 0; i < forward.getNumArguments(); ++i) {
    auto name = forward.getArgAttrOfType<mlir::StringAttr>(i, "nn.name").str();
    const auto &inputs = file->graph().inputs;
    auto place =
        llvm::find_if(inputs, [&](const auto &info) { return info.name == name; }) - inputs.begin();
    HostTensor input;
    std::string error = importer::readTensorFile(
        (folder / "test_data_set_0" / ("input_" + std::to_string(place) + ".pb")).string(), input);
    if (!error.empty())
      return error;
    arguments.push_back(reference::Tensor<float>::real(input.shape, input.floats));
  }
  auto store = reference::VariableStore<float>::fromModule(module);
  auto result = reference::Interpreter<float>().run(forward, arguments, *store);
  if (mlir::failed(result))
    return "the interpreter refuses it";
  HostTensor expected;
  if (auto error =
          importer::readTensorFile((folder / "test_data_set_0" / "output_0.pb").string(), expected);
      !error.empty())
    return error;
  if (expected.isInteger()) // conditions are 1 and 0
    expected.floats.assign(expected.ints.begin(), expected.ints.end());
  const auto &actual = result->outputs[0].reals;
  if (actual.size() != expected.floats.size())
    return std::to_string(actual.size()) + " elements, recorded are " +
           std::to_string(expected.floats.size());
  for (size_t i = 0; i < actual.size(); ++i) {
    double a = actual[i], e = expected.floats[i];
    double relative = expected.type == importer::DataType::Float
                          ? 1e-3
                          : 1e-2; // half and bfloat16 are computed as float here
    bool close = a == e || (std::isnan(a) && std::isnan(e)) ||
                 std::fabs(a - e) <= 1e-5 + relative * std::fabs(e);
    if (!close)
      return "element " + std::to_string(i) + " is " + std::to_string(a) + ", recorded is " +
             std::to_string(e);
  }
  return "";
}

static Outcome run(const fs::path &folder) {
  mlir::MLIRContext context;
  std::string text;
  mlir::ScopedDiagnosticHandler quiet(&context,
                                      [&](mlir::Diagnostic &d) { text += d.str() + "\n"; });
  ImportOptions options;
  options.loss = "mse"; // a final softmax stays in the network
  HostTensor input;
  if (importer::readTensorFile((folder / "test_data_set_0" / "input_0.pb").string(), input)
          .empty() &&
      !input.shape.empty())
    options.batchSize = input.shape[0];
  auto module = importOnnx((folder / "model.onnx").string(), options, context);
  if (!module) {
    EXPECT_FALSE(text.empty()) << folder << ": refused without a word";
    if (std::getenv("NIBBLE_VERBOSE"))
      std::cout << folder.filename().string() << ": " << text;
    return Outcome::NotImported;
  }
  std::string difference = compare(*module, folder);
  // The room's pipeline lets it through its door and does not change what it computes.
  mlir::PassManager manager(&context);
  buildImportPipeline(manager);
  if (mlir::failed(manager.run(*module)))
    difference += " the pipeline refuses it";
  else if (std::string after = compare(*module, folder); !after.empty())
    difference += " after the pipeline: " + after;
  EXPECT_EQ(difference, "") << folder << " " << text;
  return difference.empty() ? Outcome::Same : Outcome::Different;
}

/// Law: an operator test of ONNX that imports computes the recorded output (rtol 1e-3, ONNX's own
/// tolerance), before and after the room's pipeline, and what does not import says why.
TEST(NodeTests, ImportedOperatorsComputeWhatOnnxRecorded) {
  fs::path folder = folderOfTests();
  if (folder.empty() || !fs::is_directory(folder))
    GTEST_SKIP() << "no recorded operator tests (NIBBLE_DATA)";
  int counts[3] = {};
  for (const auto &entry : fs::directory_iterator(folder))
    if (fs::exists(entry.path() / "model.onnx"))
      ++counts[static_cast<int>(run(entry.path()))];
  std::cout << "same " << counts[1] << ", different " << counts[2] << ", not imported " << counts[0]
            << "\n";
  EXPECT_GT(counts[1], 0);
}
