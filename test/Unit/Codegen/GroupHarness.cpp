//===- GroupHarness.cpp - runs groups as compiled code and by the interpreter -===//
#include "GroupHarness.h"

#include "nibble/Codegen/CPU/Passes.h"
#include "nibble/Dialect/Plan/IR/Plan.h"
#include "nibble/Dialect/Q4/IR/Q4.h"
#include "nibble/Dialect/Train/IR/Train.h"
#include "nibble/Interfaces/Scratch.h"
#include "nibble/Numerics/Packing.h"
#include "nibble/Numerics/Rounding.h"
#include "nibble/Reference/Interpreter.h"

#include "mlir/Conversion/Passes.h"
#include "mlir/Dialect/MemRef/Transforms/Passes.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "llvm/ExecutionEngine/Orc/LLJIT.h"
#include "llvm/IR/Module.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"

#include <gtest/gtest.h>
#include <random>

using namespace mlir;
using namespace nibble;
using nibble::reference::ElementKind;
using Reference = nibble::reference::Tensor<float>;

std::string test::with(std::string text, std::initializer_list<std::pair<const char *, std::string>> names) {
  for (auto [name, value] : names)
    for (size_t at; (at = text.find(std::string("$") + name)) != std::string::npos;)
      text.replace(at, strlen(name) + 1, value);
  return text;
}

//===----------------------------------------------------------------------===//
// Tensors as buffers
//===----------------------------------------------------------------------===//

namespace {

/// 128-byte aligned memory, all ones, with a margin that must not change.
struct Memory {
  static constexpr size_t kMargin = 4096;
  std::vector<uint8_t> storage;
  uint8_t *data;
  size_t size;
  explicit Memory(size_t n) : storage(n + 2 * kMargin + 128, 0xFF), size(n) {
    auto address = reinterpret_cast<uintptr_t>(storage.data()) + kMargin;
    data = reinterpret_cast<uint8_t *>((address + 127) / 128 * 128);
  }
  bool marginIntact() const {
    auto intact = [](const uint8_t *begin, const uint8_t *end) {
      return std::all_of(begin, end, [](uint8_t byte) { return byte == 0xFF; });
    };
    return intact(storage.data(), data) && intact(data + size, storage.data() + storage.size());
  }
};

bool isFourBits(ElementKind kind) {
  return kind == ElementKind::Int4 || kind == ElementKind::Log2 || kind == ElementKind::Log4;
}

/// bf16 numbers are reals to the interpreter, and 16 bits in memory.
Reference asStored(const Reference &x, Type type) {
  if (!cast<RankedTensorType>(type).getElementType().isBF16())
    return x;
  std::vector<int32_t> bits;
  for (float v : x.reals)
    bits.push_back(numerics::toBf16(v));
  return Reference::integer(ElementKind::Bits, x.shape, bits);
}

size_t bufferBytes(const Reference &x) {
  size_t n = x.size();
  size_t bytes = isFourBits(x.kind)                                                  ? numerics::packedBytes(n)
                 : x.kind == ElementKind::Mask                                       ? numerics::maskBytes(n)
                 : x.kind == ElementKind::Int8 || x.kind == ElementKind::Index       ? n
                 : x.kind == ElementKind::Bits                                       ? 2 * n
                 : x.kind == ElementKind::Double || x.kind == ElementKind::Wide      ? 8 * n
                                                                                     : 4 * n;
  return (bytes + 127) / 128 * 128;
}

MemRefType bufferType(const Reference &x, RankedTensorType type) {
  Type i8 = IntegerType::get(type.getContext(), 8);
  if (x.kind == ElementKind::Mask && type.getRank() == 0)
    return MemRefType::get({1}, i8);
  if (isFourBits(x.kind) || x.kind == ElementKind::Mask)
    return MemRefType::get({static_cast<int64_t>(bufferBytes(x))}, i8);
  Type element = type.getElementType();
  if (x.kind == ElementKind::Int8)
    element = i8;
  return MemRefType::get(type.getShape(), element.isBF16() ? IntegerType::get(type.getContext(), 16) : element);
}

void write(const Reference &x, uint8_t *bytes) {
  size_t n = x.size();
  for (size_t i = 0; i < n; ++i) {
    if (x.kind == ElementKind::Real)
      reinterpret_cast<float *>(bytes)[i] = x.reals[i];
    else if (x.kind == ElementKind::Double)
      reinterpret_cast<double *>(bytes)[i] = x.doubles[i];
    else if (x.kind == ElementKind::Wide)
      reinterpret_cast<int64_t *>(bytes)[i] = x.wides[i];
    else if (x.kind == ElementKind::Mask)
      numerics::setMaskBit(bytes, i, x.ints[i]);
    else if (x.kind == ElementKind::Bits)
      reinterpret_cast<uint16_t *>(bytes)[i] = x.ints[i];
    else if (x.kind == ElementKind::Label)
      reinterpret_cast<int32_t *>(bytes)[i] = x.ints[i];
    else if (x.kind == ElementKind::Int4)
      numerics::setPackedNibble(bytes, i, numerics::nibbleOfCode(x.ints[i]));
    else if (isFourBits(x.kind))
      numerics::setPackedNibble(bytes, i, x.ints[i]);
    else
      bytes[i] = static_cast<uint8_t>(x.ints[i]);
  }
}

void read(Reference &x, const uint8_t *bytes) {
  size_t n = x.size();
  for (size_t i = 0; i < n; ++i) {
    if (x.kind == ElementKind::Real)
      x.reals[i] = reinterpret_cast<const float *>(bytes)[i];
    else if (x.kind == ElementKind::Mask)
      x.ints[i] = numerics::maskBit(bytes, i);
    else if (x.kind == ElementKind::Bits)
      x.ints[i] = reinterpret_cast<const uint16_t *>(bytes)[i];
    else if (x.kind == ElementKind::Label)
      x.ints[i] = reinterpret_cast<const int32_t *>(bytes)[i];
    else if (x.kind == ElementKind::Int4)
      x.ints[i] = numerics::codeOfNibble(numerics::packedNibble(bytes, i));
    else if (isFourBits(x.kind))
      x.ints[i] = numerics::packedNibble(bytes, i);
    else if (x.kind == ElementKind::Index)
      x.ints[i] = bytes[i];
    else
      x.ints[i] = static_cast<int8_t>(bytes[i]);
  }
}

/// One element as text, equal for equal bits; all NaNs are one.
std::string element(const Reference &x, size_t i) {
  if (x.kind != ElementKind::Real)
    return std::to_string(x.ints[i]);
  if (x.reals[i] != x.reals[i])
    return "NaN";
  char text[64];
  snprintf(text, sizeof text, "%a", x.reals[i]);
  return text;
}

//===----------------------------------------------------------------------===//
// Random arguments
//===----------------------------------------------------------------------===//

Reference randomArgument(func::FuncOp function, unsigned number, std::mt19937 &random) {
  Reference x = *Reference::zeros(function.getArgument(number).getType());
  auto attribute = [&](StringRef name) { return function.getArgAttr(number, ("t." + name).str()); };
  auto realOf = [&](StringRef name, double otherwise) {
    auto a = dyn_cast_or_null<FloatAttr>(attribute(name));
    return a ? a.getValueAsDouble() : otherwise;
  };
  auto wholeOf = [&](StringRef name, int64_t otherwise) {
    auto a = dyn_cast_or_null<IntegerAttr>(attribute(name));
    return a ? a.getInt() : otherwise;
  };
  auto pick = [&](int64_t lo, int64_t hi) { return std::uniform_int_distribution<int64_t>(lo, hi)(random); };
  bool ranged = attribute("lo") || attribute("hi"), special = !!attribute("special");
  std::uniform_real_distribution<double> uniform(realOf("lo", -3), realOf("hi", 3));
  const float odd[] = {0.0f, -0.0f, 1e-40f, -1e-42f, 3e38f, -7e20f, 1.0f, -1.0f};
  const float wild[] = {NAN, INFINITY, -INFINITY};
  for (float &v : x.reals) {
    v = static_cast<float>(uniform(random));
    if (!ranged && pick(0, 19) == 0)
      v = odd[pick(0, 7)];
    if (special && pick(0, 29) == 0)
      v = wild[pick(0, 2)];
    if (auto value = dyn_cast_or_null<FloatAttr>(attribute("value")))
      v = static_cast<float>(value.getValueAsDouble());
    if (cast<RankedTensorType>(function.getArgument(number).getType()).getElementType().isBF16())
      v = numerics::narrowToBf16(v);
  }
  for (double &v : x.doubles)
    v = realOf("value", 0.1);
  for (int64_t &v : x.wides)
    v = wholeOf("value", pick(1, 1000000));
  for (int32_t &v : x.ints) {
    switch (x.kind) {
    case ElementKind::Mask: v = pick(0, 1); break;
    case ElementKind::Index: v = pick(0, 255); break;
    case ElementKind::Bits: v = pick(0, 65535); break;
    case ElementKind::Int4: v = pick(-8, 7); break;
    case ElementKind::Int8: v = pick(-127, 127); break;
    case ElementKind::Log2:
    case ElementKind::Log4: v = pick(0, 15), v = v == 8 ? 0 : v; break;
    default: v = pick(0, 9); break;
    }
    if (attribute("max"))
      v = pick(0, wholeOf("max", 1) - 1);
    if (attribute("value"))
      v = wholeOf("value", 0);
  }
  return x;
}

//===----------------------------------------------------------------------===//
// The group, and its code
//===----------------------------------------------------------------------===//

/// Moves a copy of the function's body into `region`, return turned into plan.yield.
void cloneBody(func::FuncOp function, Region &region, OpBuilder &b) {
  OpBuilder::InsertionGuard guard(b);
  IRMapping map;
  Block *block = b.createBlock(&region);
  for (BlockArgument argument : function.getArguments())
    map.map(argument, block->addArgument(argument.getType(), argument.getLoc()));
  for (Operation &op : function.getBody().front()) {
    if (auto done = dyn_cast<func::ReturnOp>(op)) {
      SmallVector<Value> values;
      for (Value v : done.getOperands())
        values.push_back(map.lookup(v));
      plan::YieldOp::create(b, op.getLoc(), values);
    } else {
      b.clone(op, map);
    }
  }
}

/// Scratch that Schedule would give the group.
int64_t scratchOf(func::FuncOp function) {
  OpBuilder b(function); // before the function: the body is not to be copied into itself
  auto fused = plan::FusedOp::create(b, function.getLoc(), function.getResultTypes(), ValueRange(function.getArguments()));
  cloneBody(function, fused.getBody(), b);
  int64_t bytes = cast<ScratchOpInterface>(fused.getOperation()).getScratchBytes();
  fused.erase();
  return bytes;
}

LogicalResult lower(ModuleOp module) {
  PassManager manager(module.getContext());
  manager.addPass(createSCFToControlFlowPass());
  manager.addPass(memref::createExpandStridedMetadataPass());
  manager.addPass(createLowerAffinePass());
  manager.addPass(createConvertVectorToLLVMPass());
  manager.addPass(createConvertMathToLLVMPass());
  manager.addPass(createArithToLLVMConversionPass());
  manager.addPass(createFinalizeMemRefToLLVMConversionPass());
  manager.addPass(createConvertControlFlowToLLVMPass());
  manager.addPass(createConvertFuncToLLVMPass());
  manager.addPass(createReconcileUnrealizedCastsPass());
  return manager.run(module);
}

llvm::orc::JITTargetMachineBuilder machine(StringRef cpu) {
  auto host = llvm::cantFail(llvm::orc::JITTargetMachineBuilder::detectHost());
  if (cpu == "generic") {
    llvm::orc::JITTargetMachineBuilder plain(host.getTargetTriple());
    if (host.getTargetTriple().isX86())
      plain.setCPU("x86-64");
    host = plain;
  }
  host.getOptions().AllowFPOpFusion = llvm::FPOpFusion::Strict;
  return host;
}

void optimize(llvm::Module &module, llvm::TargetMachine *target) {
  llvm::LoopAnalysisManager lam;
  llvm::FunctionAnalysisManager fam;
  llvm::CGSCCAnalysisManager cgam;
  llvm::ModuleAnalysisManager mam;
  llvm::PassBuilder builder(target);
  builder.registerModuleAnalyses(mam);
  builder.registerCGSCCAnalyses(cgam);
  builder.registerFunctionAnalyses(fam);
  builder.registerLoopAnalyses(lam);
  builder.crossRegisterProxies(lam, fam, cgam, mam);
  builder.buildPerModuleDefaultPipeline(llvm::OptimizationLevel::O2).run(module, mam);
}

std::unique_ptr<llvm::orc::LLJIT> compile(ModuleOp module, StringRef cpu) {
  auto llvmContext = std::make_unique<llvm::LLVMContext>();
  auto llvmModule = translateModuleToLLVMIR(module, *llvmContext);
  if (!llvmModule)
    return nullptr;
  auto builder = machine(cpu);
  auto target = llvm::cantFail(builder.createTargetMachine());
  llvmModule->setDataLayout(target->createDataLayout());
  llvmModule->setTargetTriple(target->getTargetTriple());
  optimize(*llvmModule, target.get());
  auto jit = llvm::cantFail(llvm::orc::LLJITBuilder().setJITTargetMachineBuilder(builder).create());
  llvm::cantFail(jit->addIRModule(llvm::orc::ThreadSafeModule(std::move(llvmModule), std::move(llvmContext))));
  return jit;
}

std::vector<int64_t> descriptor(void *data, MemRefType type) {
  std::vector<int64_t> d{reinterpret_cast<int64_t>(data), reinterpret_cast<int64_t>(data), 0};
  d.insert(d.end(), type.getShape().begin(), type.getShape().end());
  SmallVector<int64_t> strides;
  int64_t offset;
  (void)type.getStridesAndOffset(strides, offset);
  d.insert(d.end(), strides.begin(), strides.end());
  return d;
}

void loadDialects(MLIRContext &context) {
  DialectRegistry registry;
  registerCodegenCpuExternalModels(registry);
  context.appendDialectRegistry(registry);
  context.loadDialect<nn::NNDialect, q4::Q4Dialect, train::TrainDialect, plan::PlanDialect, arith::ArithDialect,
                      func::FuncDialect, LLVM::LLVMDialect, math::MathDialect, memref::MemRefDialect, scf::SCFDialect,
                      cf::ControlFlowDialect, vector::VectorDialect>();
  registerBuiltinDialectTranslation(context);
  registerLLVMDialectTranslation(context);
  context.allowUnregisteredDialects();
}

} // namespace

void test::expectSameBits(const std::string &text, const std::string &cpu, unsigned seed) {
  SCOPED_TRACE(cpu + ": " + text);
  llvm::InitializeNativeTarget();
  llvm::InitializeNativeTargetAsmPrinter();
  MLIRContext context(MLIRContext::Threading::DISABLED);
  loadDialects(context);
  OwningOpRef<ModuleOp> module = parseSourceString<ModuleOp>("func.func @f" + text, &context);
  ASSERT_TRUE(module) << "does not parse";
  auto function = *module->getOps<func::FuncOp>().begin();

  std::mt19937 random(seed);
  SmallVector<Reference> inputs;
  for (unsigned i = 0; i < function.getNumArguments(); ++i)
    inputs.push_back(randomArgument(function, i, random));
  auto meant = reference::Interpreter<float>().run(function, inputs);
  ASSERT_TRUE(succeeded(meant)) << "the interpreter refuses it";
  for (auto [x, type] : llvm::zip(inputs, function.getArgumentTypes()))
    x = asStored(x, type);
  for (auto [y, type] : llvm::zip(meant->outputs, function.getResultTypes()))
    y = asStored(y, type);

  // A function of buffers around one group.
  OpBuilder b(&context);
  Location loc = b.getUnknownLoc();
  OwningOpRef<ModuleOp> code = ModuleOp::create(b, loc);
  b.setInsertionPointToEnd(code->getBody());
  SmallVector<MemRefType> types;
  for (auto [x, argument] : llvm::zip(inputs, function.getArguments()))
    types.push_back(bufferType(x, cast<RankedTensorType>(argument.getType())));
  for (auto [y, type] : llvm::zip(meant->outputs, function.getResultTypes()))
    types.push_back(bufferType(y, cast<RankedTensorType>(type)));
  int64_t bytes = scratchOf(function);
  if (bytes)
    types.push_back(MemRefType::get({bytes}, b.getI8Type()));
  b.setInsertionPointToEnd(code->getBody());
  auto run = func::FuncOp::create(b, loc, "run", b.getFunctionType(SmallVector<Type>(types.begin(), types.end()), {}));
  run->setAttr("llvm.emit_c_interface", b.getUnitAttr());
  b.setInsertionPointToStart(run.addEntryBlock());
  ArrayRef<BlockArgument> arguments = run.getArguments();
  auto asValues = [](ArrayRef<BlockArgument> a) { return SmallVector<Value>(a.begin(), a.end()); };
  auto group = plan::GroupOp::create(b, loc, asValues(arguments.take_front(inputs.size())),
                                     asValues(arguments.slice(inputs.size(), meant->outputs.size())),
                                     bytes ? Value(arguments.back()) : Value());
  cloneBody(function, group.getBody(), b);
  func::ReturnOp::create(b, loc);
  ASSERT_TRUE(succeeded(verify(*code)));

  PassManager manager(&context);
  CodegenCpuOptions options;
  options.cpu = cpu;
  buildCodegenCpuPipeline(manager, options);
  ASSERT_TRUE(succeeded(manager.run(*code)));
  if (getenv("NIBBLE_TEST_DUMP"))
    code->print(llvm::errs());
  ASSERT_TRUE(succeeded(lower(*code)));
  auto jit = compile(*code, cpu);
  ASSERT_TRUE(jit);
  auto symbol = jit->lookup("_mlir_ciface_run");
  ASSERT_TRUE(!!symbol) << llvm::toString(symbol.takeError());

  std::vector<Memory> memory;
  memory.reserve(types.size());
  for (const Reference &x : inputs) {
    memory.emplace_back(bufferBytes(x));
    write(x, memory.back().data);
  }
  for (const Reference &y : meant->outputs)
    memory.emplace_back(bufferBytes(y));
  if (bytes)
    memory.emplace_back(bytes);
  std::vector<std::vector<int64_t>> descriptors;
  for (auto [m, type] : llvm::zip(memory, types))
    descriptors.push_back(descriptor(m.data, type));
  ASSERT_LE(descriptors.size(), 16u);
  void *a[16] = {};
  for (size_t i = 0; i < descriptors.size(); ++i)
    a[i] = descriptors[i].data();
  symbol->toPtr<void (*)(void *, void *, void *, void *, void *, void *, void *, void *, void *, void *, void *, void *, void *,
                         void *, void *, void *)>()(a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7], a[8], a[9], a[10], a[11],
                                                    a[12], a[13], a[14], a[15]);

  for (auto [i, m] : llvm::enumerate(memory))
    EXPECT_TRUE(m.marginIntact()) << "wrote outside buffer " << i;
  for (auto [number, y] : llvm::enumerate(meant->outputs)) {
    Reference got = y;
    read(got, memory[inputs.size() + number].data);
    int wrong = 0;
    for (int64_t i = 0; i < y.size() && wrong < 5; ++i)
      if (element(got, i) != element(y, i)) {
        ++wrong;
        ADD_FAILURE() << "output " << number << " element " << i << ": got " << element(got, i) << ", meant " << element(y, i);
      }
  }
}
