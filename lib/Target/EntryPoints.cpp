//===- EntryPoints.cpp - the floating-point environment of a step ---------------===//
#include "EntryPoints.h"

#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/IntrinsicsAArch64.h"
#include "llvm/IR/IntrinsicsX86.h"
#include "llvm/TargetParser/Triple.h"

using namespace llvm;

namespace {

/// The two halves of saving, setting and restoring the environment.
struct Environment {
  Value *saved = nullptr;

  /// x86: MXCSR with all exceptions masked, round to nearest, neither FTZ nor DAZ.
  static constexpr uint32_t mxcsr = 0x1F80;

  void enter(IRBuilder<> &b, const Triple &triple) {
    if (triple.isX86()) {
      saved = b.CreateAlloca(b.getInt32Ty(), nullptr, "caller.mxcsr");
      Value *ours = b.CreateAlloca(b.getInt32Ty(), nullptr, "mxcsr");
      b.CreateIntrinsic(Intrinsic::x86_sse_stmxcsr, {saved});
      b.CreateStore(b.getInt32(mxcsr), ours);
      b.CreateIntrinsic(Intrinsic::x86_sse_ldmxcsr, {ours});
    } else if (triple.isAArch64()) {
      saved = b.CreateIntrinsic(b.getInt64Ty(), Intrinsic::aarch64_get_fpcr, {});
      b.CreateIntrinsic(Intrinsic::aarch64_set_fpcr, {b.getInt64(0)});
    }
  }
  void leave(IRBuilder<> &b, const Triple &triple) {
    if (triple.isX86())
      b.CreateIntrinsic(Intrinsic::x86_sse_ldmxcsr, {saved});
    else if (triple.isAArch64())
      b.CreateIntrinsic(Intrinsic::aarch64_set_fpcr, {saved});
  }
};

void wrap(Function &body, const Triple &triple) {
  std::string name = body.getName().str();
  body.setName(name + ".body");
  auto *entry = Function::Create(body.getFunctionType(), GlobalValue::ExternalLinkage, name, body.getParent());
  entry->setDoesNotThrow();
  body.setLinkage(GlobalValue::InternalLinkage);
  body.addFnAttr(Attribute::NoInline);

  IRBuilder<> b(BasicBlock::Create(body.getContext(), "entry", entry));
  Environment environment;
  environment.enter(b, triple);
  SmallVector<Value *> arguments;
  for (auto [outer, inner] : zip(entry->args(), body.args())) {
    outer.setName(inner.getName());
    arguments.push_back(&outer);
  }
  CallInst *call = b.CreateCall(&body, arguments);
  environment.leave(b, triple);
  if (call->getType()->isVoidTy())
    b.CreateRetVoid();
  else
    b.CreateRet(call);
}

} // namespace

void nibble::wrapEntryPoints(Module &module) {
  SmallVector<Function *> entries;
  for (Function &function : module)
    if (!function.isDeclaration() && function.hasExternalLinkage())
      entries.push_back(&function);
  for (Function *function : entries)
    wrap(*function, module.getTargetTriple());
}
