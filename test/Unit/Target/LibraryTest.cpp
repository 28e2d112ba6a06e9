//===- LibraryTest.cpp - parts of a library, by themselves -----------------------===//
#include "Compile.h"
#include "nibble/Target/Library.h"

#include "llvm/Object/ELFObjectFile.h"
#include "llvm/Support/Endian.h"
#include "llvm/Support/JSON.h"

using namespace nibble;
using namespace nibble::test;

namespace {

LibraryModel smallModel() {
  static const char one[] = {0, 0, '\x80', '\x3f'};
  LibraryModel model;
  model.name = "net";
  model.source = "a*/b\n.onnx";
  model.recipe = "name=\"quoted\"\\";
  model.cpu = "native";
  model.tool = "nibble";
  model.input = {"x", "", "", "input", "float32", false, {2, 3}, 0, 24, {}};
  model.answer = {"labels", "", "", "label", "int32", false, {2}, 0, 8, {}};
  model.output = {"y", "", "", "output", "float32", false, {2, 4}, 0, 32, {}};
  model.state = {{"w", "w.onnx", "T", "weight", "float32", true, {3, 4}, 0, 48, one},
                 {"step \"1\"", "", "", "moment", "float32", false, {}, 128, 4, {}}};
  model.classes = 4;
  model.stateBytes = 256;
  model.arenaBytes = 1024;
  model.reportNames = {"loss", "correct"};
  model.evalReportCount = 2;
  return model;
}

// Law: whatever a file is called, the name is a C identifier, and a C identifier is its own name.
TEST(Library, Names) {
  EXPECT_EQ(libraryName("lenet"), "lenet");
  EXPECT_EQ(libraryName("_A9"), "_A9");
  EXPECT_EQ(libraryName("8-bit net.v2"), "model_8_bit_net_v2");
  EXPECT_EQ(libraryName(""), "model_");
  EXPECT_EQ(libraryName("\xc3\xa4"), "__");
  for (const char *text : {"a b", "9", "--", "x;y", "名"})
    EXPECT_EQ(libraryName(libraryName(text)), libraryName(text)) << text;
}

// Law: the head of a state file is safetensors: its length, aligned, and JSON whose offsets tile the data in order.
TEST(Library, StateHeaderIsSafetensors) {
  LibraryModel model = smallModel();
  StateHeader header = stateHeader(model);
  uint64_t length = llvm::support::endian::read64le(header.text.data());
  EXPECT_EQ(length + 8, header.text.size());
  EXPECT_EQ(header.text.size() % 8, 0u);
  llvm::Expected<llvm::json::Value> json = llvm::json::parse(llvm::StringRef(header.text).drop_front(8));
  ASSERT_TRUE(bool(json)) << llvm::toString(json.takeError());
  int64_t at = 0;
  for (const LibraryTensor &tensor : model.state) {
    const llvm::json::Object *entry = json->getAsObject()->getObject(tensor.name);
    ASSERT_TRUE(entry) << tensor.name;
    EXPECT_EQ(entry->getString("dtype"), llvm::StringRef("F32"));
    EXPECT_EQ((*entry->getArray("data_offsets"))[0].getAsInteger(), at);
    EXPECT_EQ((*entry->getArray("data_offsets"))[1].getAsInteger(), at += tensor.bytes);
  }
  EXPECT_EQ(json->getAsObject()->getObject("__metadata__")->getString("recipe"), llvm::StringRef(model.recipe));
  EXPECT_EQ(header.text.substr(header.stepAt, 20), std::string(20, '0'));
  EXPECT_EQ(header.text.substr(header.seedAt, 20), std::string(20, '0'));
  EXPECT_EQ(header.text.substr(header.crcAt, 8), std::string(8, '0'));
}

// Law: names from outside cannot leave the header's comment.
TEST(Library, HeaderQuotesNames) {
  std::string header = libraryHeader(smallModel(), llvm::cantFail(Machine::create("native")));
  size_t end = header.find("*/");
  EXPECT_LT(header.find("#ifndef NIBBLE_NET_H"), header.size());
  EXPECT_EQ(header.find("#ifndef NIBBLE_NET_H"), end + 3); // the first comment ends where it is meant to
  EXPECT_EQ(header.find('\n', header.find("a*_b")), header.find("_.onnx") + 6);
}

// Law: the header declares the functions that the library exports, all of them.
TEST(Library, HeaderDeclaresWhatIsExported) {
  LibraryModel model = smallModel();
  std::string header = libraryHeader(model, llvm::cantFail(Machine::create("native")));
  std::vector<std::string> functions = libraryFunctions(model);
  EXPECT_GE(functions.size(), 20u);
  for (const std::string &function : functions)
    EXPECT_NE(header.find(function + "("), std::string::npos) << function;
}

// Law: the runtime is an object for every architecture, and needs the C library and the model's two steps only.
TEST(Library, RuntimeObjects) {
  for (const char *name : {"native", "x86-64", "aarch64", "cortex-a76"}) {
    llvm::Expected<ObjectBytes> object = emitLibraryRuntime(smallModel(), llvm::cantFail(Machine::create(name)));
    ASSERT_TRUE(bool(object)) << name << ": " << llvm::toString(object.takeError());
    std::vector<std::string> names = llvm::cantFail(undefinedSymbols(*object));
    EXPECT_TRUE(llvm::is_contained(names, "net__train_code")) << name;
    EXPECT_TRUE(llvm::is_contained(names, "aligned_alloc")) << name;
  }
}

/// Contents of the sections that end up in memory.
std::vector<std::pair<std::string, std::string>> loadedSections(llvm::ArrayRef<char> bytes) {
  auto file = llvm::cantFail(llvm::object::ObjectFile::createObjectFile(llvm::MemoryBufferRef(llvm::StringRef(bytes.data(), bytes.size()), "o")));
  std::vector<std::pair<std::string, std::string>> sections;
  for (const llvm::object::SectionRef &section : file->sections())
    if (section.isText() || section.isData())
      sections.emplace_back(llvm::cantFail(section.getName()).str(), llvm::cantFail(section.getContents()).str());
  return sections;
}

// Law: under new names the steps are the same bytes, and are not seen from outside what they are linked into.
TEST(Library, RenamedStepsAreTheSameBytes) {
  const char *text = R"(
    func.func @train_step(%x: memref<64xf32>) -> i32 {
      %c = arith.constant 3 : i32
      return %c : i32
    }
    func.func @eval_step(%x: memref<64xf32>) -> i32 {
      %c = arith.constant 4 : i32
      return %c : i32
    })";
  llvm::Expected<ObjectBytes> step = compileLoops(text, 1);
  ASSERT_TRUE(bool(step)) << llvm::toString(step.takeError());
  llvm::Expected<ObjectBytes> renamed = renameSteps(*step, "net");
  ASSERT_TRUE(bool(renamed)) << llvm::toString(renamed.takeError());
  EXPECT_EQ(loadedSections(*step), loadedSections(*renamed));
  auto file = llvm::cantFail(llvm::object::ObjectFile::createObjectFile(llvm::MemoryBufferRef(llvm::StringRef(renamed->data(), renamed->size()), "o")));
  std::vector<std::string> names;
  for (const llvm::object::ELFSymbolRef symbol : llvm::cast<llvm::object::ELFObjectFileBase>(*file).symbols())
    if (symbol.getBinding() == llvm::ELF::STB_GLOBAL && symbol.getELFType() == llvm::ELF::STT_FUNC) {
      names.push_back(llvm::cantFail(symbol.getName()).str());
      EXPECT_EQ(symbol.getOther() & 3, llvm::ELF::STV_HIDDEN) << names.back();
    }
  llvm::sort(names);
  EXPECT_EQ(names, (std::vector<std::string>{"net__eval_code", "net__train_code"}));
}

} // namespace
