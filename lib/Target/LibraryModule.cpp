//===- LibraryModule.cpp - the runtime of a library, with one model's tables ------===//
#include "nibble/Target/Features.h"
#include "nibble/Target/Library.h"

#include "Library/Runtime.h"

#include "llvm/Bitcode/BitcodeReader.h"
#include "llvm/IR/Constants.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/Support/MemoryBuffer.h"

extern "C" {
#include "Library/model.h"
}

using namespace nibble;
using llvm::Constant;
using Rows = std::vector<Constant *>;

namespace {

/// One struct's fields, in order.
class Fields {
public:
  explicit Fields(llvm::Module &module) : module(module), context(module.getContext()) {}

  Fields &size(uint64_t value) { return add(llvm::ConstantInt::get(llvm::Type::getInt64Ty(context), value)); }
  Fields &number(uint64_t value) { return add(llvm::ConstantInt::get(llvm::Type::getInt32Ty(context), value)); }
  Fields &text(llvm::StringRef value) {
    llvm::GlobalVariable *variable = global(llvm::ConstantDataArray::getString(context, value), 1);
    variable->setUnnamedAddr(llvm::GlobalValue::UnnamedAddr::Global); // equal texts may be one
    return add(variable);
  }
  Fields &bytes(llvm::ArrayRef<char> value) {
    llvm::StringRef raw(value.data(), value.size());
    return add(global(llvm::ConstantDataArray::getRaw(raw, raw.size(), llvm::Type::getInt8Ty(context)), 16));
  }
  /// A table; null where it is empty.
  Fields &table(const Rows &rows) {
    if (rows.empty())
      return add(llvm::ConstantPointerNull::get(llvm::PointerType::getUnqual(context)));
    return add(global(llvm::ConstantArray::get(llvm::ArrayType::get(rows.front()->getType(), rows.size()), rows), 16));
  }

  /// The struct. Both C and LLVM lay it out naturally, in 64 bits; a size other than C's means that a field is missing here.
  template <typename Struct> Constant *make() const {
    Constant *value = llvm::ConstantStruct::getAnon(context, values);
    return module.getDataLayout().getTypeAllocSize(value->getType()) == sizeof(Struct) ? value : nullptr;
  }
  llvm::ArrayRef<Constant *> all() const { return values; }

private:
  Fields &add(Constant *constant) {
    values.push_back(constant);
    return *this;
  }
  llvm::GlobalVariable *global(Constant *value, unsigned alignment) {
    auto *made = new llvm::GlobalVariable(module, value->getType(), /*isConstant=*/true, llvm::GlobalValue::PrivateLinkage, value);
    made->setAlignment(llvm::Align(alignment));
    return made;
  }

  llvm::Module &module;
  llvm::LLVMContext &context;
  Rows values;
};

/// The constant that model.h declares.
class ModelConstant {
public:
  ModelConstant(llvm::Module &module, const LibraryModel &model, const Machine &machine) : module(module), model(model), machine(machine) {}

  llvm::Error define(llvm::GlobalVariable &variable) {
    fill();
    auto *type = llvm::dyn_cast<llvm::StructType>(variable.getValueType());
    bool same = type && whole && type->getNumElements() == fields.all().size();
    for (size_t i = 0; same && i < fields.all().size(); ++i)
      same = type->getElementType(i) == fields.all()[i]->getType();
    if (!same)
      return llvm::createStringError("internal: Library/model.h and LibraryModule.cpp disagree");
    variable.setInitializer(llvm::ConstantStruct::get(type, fields.all()));
    variable.setLinkage(llvm::GlobalValue::InternalLinkage);
    return llvm::Error::success();
  }

private:
  template <typename Struct> void push(Rows &rows, const Fields &row) {
    rows.push_back(row.make<Struct>());
    whole &= rows.back() != nullptr;
  }

  Rows tensors(llvm::ArrayRef<LibraryTensor> list) {
    Rows rows;
    for (const LibraryTensor &tensor : list) {
      Rows shape;
      for (int64_t size : tensor.shape)
        shape.push_back(llvm::ConstantInt::get(llvm::Type::getInt64Ty(module.getContext()), size));
      Fields row(module);
      row.text(tensor.name).text(tensor.onnxName).text(tensor.role).text(tensor.type).text(tensor.layout);
      row.number(tensor.trained).number(tensor.shape.size()).table(shape).size(tensor.offset).size(tensor.bytes);
      push<nibble_lib_tensor>(rows, row);
    }
    return rows;
  }

  Rows initialValues() {
    Rows rows;
    for (const LibraryTensor &tensor : model.state)
      if (!tensor.initial.empty())
        push<nibble_lib_initial>(
            rows, Fields(module).size(tensor.offset).size(tensor.bytes).size(tensor.initial.size()).bytes(tensor.initial));
    return rows;
  }

  Rows features() {
    Rows rows;
    for (const ProcessorFeature &feature : requiredFeatures(machine)) {
      Fields row(module);
      row.text(feature.name).number(feature.leaf).number(feature.subleaf).number(feature.place).number(feature.bit);
      push<nibble_lib_feature>(rows, row.number(feature.enabled).number(0));
    }
    return rows;
  }

  Rows reportNames() {
    Rows rows;
    for (const std::string &name : model.reportNames)
      rows.push_back(Fields(module).text(name).all().front());
    return rows;
  }

  std::string wrongProcessor() const {
    std::string text = "this processor cannot run the library, which was compiled for '" + model.cpu + "'; it needs:";
    for (const ProcessorFeature &feature : requiredFeatures(machine))
      text += std::string(" ") + feature.name;
    return text;
  }

  void fill() {
    std::vector<LibraryTensor> parameters;
    llvm::copy_if(model.state, std::back_inserter(parameters), [](const LibraryTensor &tensor) { return tensor.trained; });
    Rows initial = initialValues(), required = features();
    StateHeader header = stateHeader(model);
    fields.text(wrongProcessor());
    fields.table(tensors({model.input, model.answer})).table(tensors(model.output)).table(tensors(parameters)).table(tensors(model.state));
    fields.size(2).size(1).size(parameters.size()).size(model.state.size());
    fields.table(initial).size(initial.size()).table(required).size(required.size());
    fields.table(reportNames()).size(model.reportNames.size()).size(model.evalReportCount);
    fields.size(model.rows()).size(model.classes).size(model.microBatches);
    fields.size(model.stateBytes).size(model.arenaBytes).size(model.input.bytes).size(model.answer.bytes).size(model.output.bytes);
    fields.bytes(header.text).size(header.text.size()).size(header.stepAt).size(header.seedAt).size(header.crcAt);
    fields.size(header.versionPrefix).size(header.formatPrefix);
  }

  llvm::Module &module;
  const LibraryModel &model;
  const Machine &machine;
  Fields fields{module};
  bool whole = true;
};

constexpr llvm::StringRef kPrefix = "nibble_lib_";

/// The bitcode of runtime.c for that architecture.
llvm::Expected<std::unique_ptr<llvm::Module>> parseRuntime(const llvm::Triple &triple, llvm::LLVMContext &context) {
  llvm::StringRef bytes = library::runtimeBitcode(triple.getArch());
  if (bytes.empty())
    return llvm::createStringError("--emit=lib: there is no runtime for libraries of " + triple.str());
  return llvm::parseBitcodeFile(llvm::MemoryBufferRef(bytes, "runtime"), context);
}

/// The oldest processor of the architecture.
Machine oldest(const Machine &machine) {
  Machine result = machine;
  result.cpu = llvm::Triple(machine.triple).isX86() ? "x86-64" : "generic";
  result.features.clear();
  return result;
}

void rename(llvm::Module &module, llvm::StringRef name) {
  for (llvm::Function &function : module) {
    llvm::StringRef old = function.getName();
    if (!old.consume_front(kPrefix))
      continue;
    bool isStep = function.isDeclaration(); // nibble_lib_train_code, nibble_lib_eval_code
    function.setName((name + (isStep ? "__" : "_") + old).str());
    if (isStep)
      function.setVisibility(llvm::GlobalValue::HiddenVisibility);
  }
}

} // namespace

llvm::Expected<ObjectBytes> nibble::emitLibraryRuntime(const LibraryModel &model, const Machine &machine) {
  llvm::LLVMContext context;
  llvm::Expected<std::unique_ptr<llvm::Module>> module = parseRuntime(llvm::Triple(machine.triple), context);
  if (!module)
    return module.takeError();
  Machine base = oldest(machine);
  (*module)->setTargetTriple(llvm::Triple(base.triple));
  (*module)->setSourceFileName(model.name);
  llvm::GlobalVariable *variable = (*module)->getNamedGlobal("nibble_lib_model");
  if (!variable)
    return llvm::createStringError("internal: the library's runtime has no nibble_lib_model");
  if (llvm::Error error = ModelConstant(**module, model, machine).define(*variable))
    return error;
  rename(**module, model.name);
  if (llvm::Error error = optimize(**module, base, 2))
    return error;
  return emitObject(**module, base, 2, library::runtimeSymbols(model.name));
}

std::vector<std::string> nibble::libraryFunctions(const LibraryModel &model) {
  llvm::LLVMContext context;
  auto module = parseRuntime(llvm::Triple("x86_64-unknown-linux-gnu"), context);
  if (!module) {
    llvm::consumeError(module.takeError());
    return {};
  }
  std::vector<std::string> names;
  for (llvm::Function &function : **module)
    if (function.hasExternalLinkage() && !function.isDeclaration() && function.getName().starts_with(kPrefix))
      names.push_back(model.name + "_" + function.getName().drop_front(kPrefix.size()).str());
  llvm::sort(names);
  return names;
}
