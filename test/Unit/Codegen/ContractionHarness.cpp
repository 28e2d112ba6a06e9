//===- ContractionHarness.cpp - runs emitted contractions ---------------------===//
#include "ContractionHarness.h"

#include "nibble/Codegen/CPU/ContractionEmitter.h"
#include "nibble/Dialect/NN/IR/NN.h"
#include "nibble/Dialect/Plan/IR/Plan.h"
#include "nibble/Dialect/Q4/IR/Q4.h"

#include "mlir/Conversion/Passes.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/MemRef/Transforms/Passes.h"
#include "mlir/Dialect/OpenMP/OpenMPDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/OpenMP/OpenMPToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "mlir/Transforms/Passes.h"
#include "llvm/ExecutionEngine/Orc/LLJIT.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"
#include <chrono>
#include <cstdlib>
#include <ctime>
#include <dlfcn.h>
#include <gtest/gtest.h>

using namespace mlir;
using namespace nibble;
using namespace nibble::test;

//===----------------------------------------------------------------------===//
// IR
//===----------------------------------------------------------------------===//

void test::registerDialects(MLIRContext &context) {
  context.loadDialect<nn::NNDialect, q4::Q4Dialect, plan::PlanDialect, arith::ArithDialect,
                      func::FuncDialect, LLVM::LLVMDialect, math::MathDialect,
                      memref::MemRefDialect, scf::SCFDialect, vector::VectorDialect>();
  registerBuiltinDialectTranslation(context);
  registerLLVMDialectTranslation(context);
  registerOpenMPDialectTranslation(context);
}

static Type elementType(OpBuilder &b, Kind kind) {
  MLIRContext *context = b.getContext();
  switch (kind) {
  case Kind::F32:
    return b.getF32Type();
  case Kind::Int4:
  case Kind::Int4Zero:
    return q4::Int4Type::get(context);
  case Kind::Int8:
    return q4::Int8Type::get(context);
  case Kind::Log2:
    return q4::LogType::get(context, 2);
  case Kind::Log4:
    return q4::LogType::get(context, 4);
  case Kind::E2M1:
    return q4::E2M1Type::get(context);
  }
  return {};
}

static int64_t count(const std::vector<int64_t> &shape) {
  int64_t n = 1;
  for (int64_t d : shape)
    n *= d;
  return n;
}
static int64_t padded(int64_t bytes) { return (bytes + 127) / 128 * 128; }
static bool packed(Kind kind) { return kind != Kind::F32 && kind != Kind::Int8; }

static MemRefType bufferType(OpBuilder &b, Kind kind, const std::vector<int64_t> &shape) {
  if (packed(kind))
    return MemRefType::get({padded((count(shape) + 31) / 32 * 16)}, b.getI8Type());
  return MemRefType::get(shape, kind == Kind::F32 ? Type(b.getF32Type()) : b.getI8Type());
}

Operation *test::buildOp(OpBuilder &b, Block *block, const Case &c) {
  Location loc = b.getUnknownLoc();
  bool isFloat = c.left == Kind::F32;
  static const char *const names[] = {"matmul", "conv2d", "conv2d_input_grad",
                                      "conv2d_weight_grad"};
  OperationState state(loc, std::string(isFloat ? "nn." : "q4.") + names[c.op]);
  auto operand = [&](Type type) { state.addOperands(block->addArgument(type, loc)); };
  operand(RankedTensorType::get(c.leftShape(), elementType(b, c.left)));
  operand(RankedTensorType::get(c.rightShape(), elementType(b, c.right)));
  if (!isFloat) {
    auto scalar = [](Type type) { return RankedTensorType::get({}, type); };
    operand(scalar(b.getF32Type()));
    operand(scalar(b.getF32Type()));
    if (c.left == Kind::Int4Zero)
      operand(scalar(b.getI32Type()));
    if (c.right == Kind::Int4Zero)
      operand(scalar(b.getI32Type()));
    if (c.gain)
      operand(scalar(b.getF32Type()));
    state.addAttribute("operandSegmentSizes",
                       b.getDenseI32ArrayAttr({1, 1, 1, 1, c.left == Kind::Int4Zero,
                                               c.right == Kind::Int4Zero, c.gain}));
  }
  if (c.op == Case::MatMul) {
    if (c.transposeA)
      state.addAttribute("transpose_a", b.getUnitAttr());
    if (c.transposeB)
      state.addAttribute("transpose_b", b.getUnitAttr());
  } else {
    state.addAttribute("strides", b.getDenseI64ArrayAttr(c.strides));
    state.addAttribute("pads", b.getDenseI64ArrayAttr(c.pads));
    state.addAttribute("dilations", b.getDenseI64ArrayAttr(c.dilations));
    state.addAttribute("groups", b.getI64IntegerAttr(c.groups));
  }
  state.addTypes(RankedTensorType::get(c.resultShape(), b.getF32Type()));
  return b.create(state);
}

/// Lets the op read a panel, and tells what makes it.
static plan::PackOp makePack(OpBuilder &b, Operation *op, const Case &c, int64_t bytes) {
  Value zeroPoint =
      c.right == Kind::Int4Zero ? op->getOperand(4 + (c.left == Kind::Int4Zero)) : Value();
  b.setInsertionPoint(op);
  auto pack = plan::PackOp::create(b, op->getLoc(), RankedTensorType::get({bytes}, b.getI8Type()),
                                   op->getOperand(1), zeroPoint, "");
  Block &body = pack.getBody().emplaceBlock();
  b.setInsertionPointToEnd(&body);
  buildOp(b, &body, c);
  b.setInsertionPoint(op);
  op->setOperand(
      1, plan::PackedOp::create(b, op->getLoc(), op->getOperand(1).getType(), pack.getPanel()));
  return pack;
}

static MemRefType bytesType(OpBuilder &b, int64_t bytes) {
  return MemRefType::get({std::max<int64_t>(bytes, 1)}, b.getI8Type());
}

/// A function of buffers of these types, whose code `emit` makes.
static void emitFunction(OpBuilder &b, ModuleOp module, const std::string &name, TypeRange types,
                         llvm::function_ref<LogicalResult(SmallVector<Value>)> emit) {
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToEnd(module.getBody());
  Location loc = b.getUnknownLoc();
  auto function = func::FuncOp::create(b, loc, name, b.getFunctionType(types, {}));
  function->setAttr("llvm.emit_c_interface", b.getUnitAttr());
  b.setInsertionPointToStart(function.addEntryBlock());
  EXPECT_TRUE(succeeded(emit(SmallVector<Value>(function.getArguments())))) << name;
  func::ReturnOp::create(b, loc);
}

/// pack<number>(right[, zero point], panel, scratch).
static void emitPackFunction(OpBuilder &b, ModuleOp module, size_t number, plan::PackOp pack,
                             Type right, const CpuTarget &target, int64_t scratch) {
  SmallVector<Type> types{right};
  if (pack.getZeroPoint())
    types.push_back(MemRefType::get({}, b.getI32Type()));
  types.push_back(bytesType(b, pack.getPanel().getType().getNumElements()));
  types.push_back(bytesType(b, scratch));
  emitFunction(b, module, "pack" + std::to_string(number), types, [&](SmallVector<Value> in) {
    Value zeroPoint = in.size() == 4 ? in[1] : Value();
    return emitPack(pack, in[0], zeroPoint, in[in.size() - 2], in.back(), b, target);
  });
}

OwningOpRef<ModuleOp> test::emitModule(MLIRContext &context, const std::vector<Case> &cases,
                                       const CpuTarget &target, std::vector<CaseBytes> &allBytes) {
  OpBuilder b(&context);
  OwningOpRef<ModuleOp> module = ModuleOp::create(b, b.getUnknownLoc());
  for (auto [number, c] : llvm::enumerate(cases)) {
    Block spec;
    b.setInsertionPointToEnd(&spec);
    Operation *op = buildOp(b, &spec, c);
    EXPECT_TRUE(succeeded(verify(op))) << c.text();
    Type right = bufferType(b, c.right, c.rightShape());
    CaseBytes bytes{0, c.panel ? panelBytes(op, target) : 0};
    if (c.panel) {
      EXPECT_GT(bytes.panel, 0) << c.text();
      plan::PackOp pack = makePack(b, op, c, bytes.panel);
      EXPECT_TRUE(succeeded(verify(pack))) << c.text();
      bytes.scratch = packScratchBytes(pack, target);
      emitPackFunction(b, *module, number, pack, right, target, bytes.scratch);
      right = bytesType(b, bytes.panel);
    }
    int64_t scratch = contractionScratchBytes(op, target);
    bytes.scratch = std::max(bytes.scratch, scratch);
    allBytes.push_back(bytes);

    SmallVector<Type> types{bufferType(b, c.left, c.leftShape()), right};
    for (Value operand : op->getOperands().drop_front(2))
      types.push_back(
          MemRefType::get({}, cast<RankedTensorType>(operand.getType()).getElementType()));
    types.push_back(MemRefType::get(c.resultShape(), b.getF32Type()));
    types.push_back(bytesType(b, bytes.scratch));
    emitFunction(b, *module, "run" + std::to_string(number), types, [&](SmallVector<Value> in) {
      Value room = in.pop_back_val(), output = in.pop_back_val();
      return emitContraction(op, in, output, scratch ? room : Value(), b, target);
    });
    while (!spec.empty())
      spec.back().erase();
  }
  EXPECT_TRUE(succeeded(verify(*module)));
  return module;
}

bool test::emissionFails(MLIRContext &context, const Case &c) {
  OpBuilder b(&context);
  OwningOpRef<ModuleOp> module = ModuleOp::create(b, b.getUnknownLoc());
  Block spec;
  b.setInsertionPointToEnd(&spec);
  Operation *op = buildOp(b, &spec, c);
  b.setInsertionPointToEnd(module->getBody());
  CpuTarget target = *CpuTarget::parse("generic");
  SmallVector<Value> buffers(op->getOperands());
  bool failed = contractionScratchBytes(op, target) == 0 &&
                mlir::failed(emitContraction(op, buffers, op->getResult(0), {}, b, target));
  op->erase();
  return failed;
}

//===----------------------------------------------------------------------===//
// Compilation
//===----------------------------------------------------------------------===//

/// Parallel loops to OpenMP. The scopes that this puts around their bodies (nothing allocates) take
/// one block only: away.
static LogicalResult lowerThreads(ModuleOp module) {
  PassManager manager(module.getContext());
  manager.addPass(createConvertSCFToOpenMPPass());
  if (failed(manager.run(module)))
    return failure();
  module.walk([](memref::AllocaScopeOp scope) {
    Block &body = scope.getBodyRegion().front();
    body.getTerminator()->erase();
    scope->getBlock()->getOperations().splice(scope->getIterator(), body.getOperations());
    scope.erase();
  });
  return success();
}

static LogicalResult lower(ModuleOp module, bool threads) {
  if (threads && failed(lowerThreads(module)))
    return failure();
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
  if (threads)
    manager.addPass(createConvertOpenMPToLLVMPass());
  manager.addPass(createReconcileUnrealizedCastsPass());
  return manager.run(module);
}

/// A target machine with exactly the target's instructions; the host's architecture, where the
/// target names none.
static llvm::Expected<llvm::orc::JITTargetMachineBuilder> machine(const CpuTarget &target) {
  auto builder = llvm::orc::JITTargetMachineBuilder::detectHost();
  if (!builder || (!builder->getTargetTriple().isX86() && !target.avx2 && !target.dotprod))
    return builder;
  llvm::Triple triple = builder->getTargetTriple();
  if (target.dotprod && !triple.isAArch64())
    triple = llvm::Triple("aarch64-unknown-linux-gnu");
  if (target.avx2 && !triple.isX86())
    triple = llvm::Triple("x86_64-unknown-linux-gnu");
  llvm::orc::JITTargetMachineBuilder exact(triple);
  exact.setCPU(target.dotprod    ? "generic"
               : target.avx512bw ? "x86-64-v4"
               : target.avx2     ? "x86-64-v3"
                                 : "x86-64");
  if (target.avx512vnni)
    exact.addFeatures({"+avx512vnni"});
  if (target.avxvnni)
    exact.addFeatures({"+avxvnni"});
  if (target.dotprod)
    exact.addFeatures({"+dotprod"});
  exact.setCodeGenOptLevel(llvm::CodeGenOptLevel::Default);
  exact.getOptions().AllowFPOpFusion = llvm::FPOpFusion::Strict;
  return exact;
}

static void optimize(llvm::Module &module, llvm::TargetMachine *tm) {
  llvm::LoopAnalysisManager lam;
  llvm::FunctionAnalysisManager fam;
  llvm::CGSCCAnalysisManager cgam;
  llvm::ModuleAnalysisManager mam;
  llvm::PassBuilder builder(tm);
  builder.registerModuleAnalyses(mam);
  builder.registerCGSCCAnalyses(cgam);
  builder.registerFunctionAnalyses(fam);
  builder.registerLoopAnalyses(lam);
  builder.crossRegisterProxies(lam, fam, cgam, mam);
  builder.buildPerModuleDefaultPipeline(llvm::OptimizationLevel::O2).run(module, mam);
}

struct Compiled::Impl {
  std::unique_ptr<llvm::orc::LLJIT> jit;
  std::vector<CaseBytes> bytes;
};
Compiled::~Compiled() = default;

bool test::loadOpenMP(int threads) {
  setenv("KMP_BLOCKTIME", "0", /*overwrite=*/1); // idle threads sleep: tests run beside others
  void *library = dlopen("libomp.so.5", RTLD_NOW | RTLD_GLOBAL);
  auto set =
      library ? reinterpret_cast<void (*)(int)>(dlsym(library, "omp_set_num_threads")) : nullptr;
  if (set)
    set(threads);
  return set;
}

namespace {
/// A module of the cases as optimized LLVM IR.
struct LlvmCases {
  std::unique_ptr<llvm::LLVMContext> context = std::make_unique<llvm::LLVMContext>();
  std::unique_ptr<llvm::Module> module;
  std::unique_ptr<llvm::TargetMachine> machine;
  std::vector<CaseBytes> bytes;
};
} // namespace

static bool makeLlvm(const std::vector<Case> &cases, const CpuTarget &target, bool threads,
                     LlvmCases &result) {
  llvm::InitializeAllTargetInfos();
  llvm::InitializeAllTargets();
  llvm::InitializeAllTargetMCs();
  llvm::InitializeAllAsmPrinters();
  MLIRContext context(MLIRContext::Threading::DISABLED);
  registerDialects(context);
  auto module = emitModule(context, cases, target, result.bytes);
  if (!module || failed(lower(*module, threads)))
    return false;
  result.module = translateModuleToLLVMIR(*module, *result.context);
  auto builder = machine(target);
  auto tm = builder ? builder->createTargetMachine() : builder.takeError();
  if (!result.module || !tm)
    return false;
  result.machine = std::move(*tm);
  result.module->setDataLayout(result.machine->createDataLayout());
  result.module->setTargetTriple(result.machine->getTargetTriple());
  optimize(*result.module, result.machine.get());
  if (const char *path = getenv("NIBBLE_TEST_DUMP")) {
    std::error_code error;
    llvm::raw_fd_ostream stream(path, error);
    result.module->print(stream, nullptr);
  }
  return true;
}

std::string test::assembly(const std::vector<Case> &cases, const CpuTarget &target) {
  LlvmCases llvmCases;
  llvm::SmallString<0> text;
  llvm::raw_svector_ostream stream(text);
  llvm::legacy::PassManager manager;
  if (!makeLlvm(cases, target, /*threads=*/false, llvmCases) ||
      llvmCases.machine->addPassesToEmitFile(manager, stream, nullptr,
                                             llvm::CodeGenFileType::AssemblyFile))
    return {};
  manager.run(*llvmCases.module);
  return text.str().str();
}

std::unique_ptr<Compiled> Compiled::make(const std::vector<Case> &cases, const CpuTarget &target,
                                         bool threads) {
  auto start = std::chrono::steady_clock::now();
  std::unique_ptr<Compiled> compiled(new Compiled);
  compiled->impl = std::make_unique<Impl>();
  LlvmCases llvmCases;
  if (!makeLlvm(cases, target, threads, llvmCases))
    return ADD_FAILURE() << "emission or lowering failed", nullptr;
  compiled->impl->bytes = llvmCases.bytes;
  auto jit = llvm::orc::LLJITBuilder().setJITTargetMachineBuilder(*machine(target)).create();
  if (!jit)
    return ADD_FAILURE() << llvm::toString(jit.takeError()), nullptr;
  llvm::orc::ThreadSafeModule module(std::move(llvmCases.module), std::move(llvmCases.context));
  if (auto error = (*jit)->addIRModule(std::move(module)))
    return ADD_FAILURE() << llvm::toString(std::move(error)), nullptr;
  compiled->impl->jit = std::move(*jit);
  auto symbol = compiled->impl->jit->lookup("_mlir_ciface_run0");
  if (!symbol)
    return ADD_FAILURE() << llvm::toString(symbol.takeError()), nullptr;
  compiled->compileSeconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return compiled;
}

//===----------------------------------------------------------------------===//
// Running
//===----------------------------------------------------------------------===//

static void *find(llvm::orc::LLJIT &jit, const std::string &name, size_t number) {
  auto symbol = jit.lookup("_mlir_ciface_" + name + std::to_string(number));
  return symbol ? symbol->toPtr<void *>() : nullptr;
}

namespace {
/// 128-byte aligned memory with a margin whose bytes must not change.
struct Memory {
  static constexpr size_t kMargin = 4096;
  std::vector<uint8_t> storage;
  uint8_t *data;
  size_t size;
  explicit Memory(size_t n) : storage(n + 2 * kMargin + 128, 0xA5), size(n) {
    auto address = reinterpret_cast<uintptr_t>(storage.data()) + kMargin;
    data = reinterpret_cast<uint8_t *>((address + 127) / 128 * 128);
  }
  bool marginIntact() const {
    for (const uint8_t *p = data + size; p < storage.data() + storage.size(); ++p)
      if (*p != 0xA5)
        return false;
    for (const uint8_t *p = storage.data(); p < data; ++p)
      if (*p != 0xA5)
        return false;
    return true;
  }
};

std::vector<int64_t> descriptor(void *data, std::vector<int64_t> shape) {
  std::vector<int64_t> d{reinterpret_cast<int64_t>(data), reinterpret_cast<int64_t>(data), 0};
  d.insert(d.end(), shape.begin(), shape.end());
  int64_t stride = 1;
  std::vector<int64_t> strides(shape.size());
  for (size_t i = shape.size(); i-- > 0; stride *= shape[i])
    strides[i] = stride;
  d.insert(d.end(), strides.begin(), strides.end());
  return d;
}

struct Invocation {
  std::vector<Memory> memory;
  std::vector<std::vector<int64_t>> descriptors;
  void *address;
  size_t output;

  Invocation(llvm::orc::LLJIT &jit, size_t number, const Case &c, Inputs &in, CaseBytes bytes)
      : address(find(jit, "run", number)) {
    memory.reserve(12);
    auto add = [&](const void *bytes, size_t n, size_t room, std::vector<int64_t> shape) {
      memory.emplace_back(room);
      if (bytes)
        memcpy(memory.back().data, bytes, n);
      descriptors.push_back(descriptor(memory.back().data, std::move(shape)));
    };
    auto tensor = [&](const Tensor &t, Kind kind) {
      add(t.bytes.data(), t.bytes.size(), t.bytes.size(),
          packed(kind) ? std::vector<int64_t>{int64_t(t.bytes.size())} : t.shape);
    };
    tensor(in.left, c.left);
    tensor(in.right, c.right);
    if (c.left != Kind::F32) {
      add(&in.leftScale, 4, 128, {});
      add(&in.rightScale, 4, 128, {});
      if (c.left == Kind::Int4Zero)
        add(&in.leftZero, 4, 128, {});
      if (c.right == Kind::Int4Zero)
        add(&in.rightZero, 4, 128, {});
      if (c.gain)
        add(&in.gain, 4, 128, {});
    }
    output = memory.size();
    add(nullptr, 0, padded(4 * count(c.resultShape())), c.resultShape());
    int64_t scratch = std::max<int64_t>(bytes.scratch, 1);
    add(nullptr, 0, scratch, {scratch});
    if (!c.panel)
      return;
    add(nullptr, 0, bytes.panel, {bytes.panel});
    std::vector<int64_t> panel = descriptors.back(), room = descriptors[descriptors.size() - 2];
    descriptors.pop_back();
    size_t zeroPoint = 4 + (c.left == Kind::Int4Zero);
    if (c.right == Kind::Int4Zero)
      callWith(find(jit, "pack", number),
               {&descriptors[1], &descriptors[zeroPoint], &panel, &room});
    else
      callWith(find(jit, "pack", number), {&descriptors[1], &panel, &room});
    descriptors[1] = panel;
  }
  static void callWith(void *address, std::vector<std::vector<int64_t> *> descriptors) {
    void *a[9] = {};
    for (size_t i = 0; i < descriptors.size(); ++i)
      a[i] = descriptors[i]->data();
    using Function =
        void (*)(void *, void *, void *, void *, void *, void *, void *, void *, void *);
    reinterpret_cast<Function>(address)(a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7], a[8]);
  }
  void call() {
    std::vector<std::vector<int64_t> *> all;
    for (auto &descriptor : descriptors)
      all.push_back(&descriptor);
    callWith(address, all);
  }
};
} // namespace

std::vector<float> Compiled::run(size_t number, const Case &c, Inputs &in) {
  Invocation invocation(*impl->jit, number, c, in, impl->bytes[number]);
  invocation.call();
  for (const Memory &memory : invocation.memory)
    EXPECT_TRUE(memory.marginIntact())
        << "wrote outside buffer " << &memory - invocation.memory.data() << " of " << c.text();
  std::vector<float> result(count(c.resultShape()));
  memcpy(result.data(), invocation.memory[invocation.output].data, 4 * result.size());
  return result;
}

/// Seconds of processor time that this thread has had: other processes that share the machine do
/// not count.
static double threadSeconds() {
  timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return double(t.tv_sec) + 1e-9 * double(t.tv_nsec);
}

std::vector<double> Compiled::times(size_t number, const Case &c, Inputs &in, double budget) {
  Invocation invocation(*impl->jit, number, c, in, impl->bytes[number]);
  std::vector<double> times;
  invocation.call();
  for (double begin = threadSeconds(); times.size() < 5 || threadSeconds() - begin < budget;) {
    double start = threadSeconds();
    invocation.call();
    times.push_back(threadSeconds() - start);
  }
  std::sort(times.begin(), times.end());
  return times;
}
