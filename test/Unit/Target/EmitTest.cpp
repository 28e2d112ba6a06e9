//===- EmitTest.cpp - object bytes and their door --------------------------------===//
#include "Compile.h"

using namespace nibble;
using namespace nibble::test;

namespace {

std::string errorOf(llvm::Expected<ObjectBytes> object) { return object ? "" : llvm::toString(object.takeError()); }

const char *scaleText = R"(
func.func @scale(%x: memref<4096xf32>, %factor: f32) -> i32 {
  %c0 = arith.constant 0 : index
  %c16 = arith.constant 16 : index
  %n = arith.constant 4096 : index
  scf.parallel (%i) = (%c0) to (%n) step (%c16) {
    %v = vector.load %x[%i] : memref<4096xf32>, vector<16xf32>
    %f = vector.broadcast %factor : f32 to vector<16xf32>
    %y = arith.mulf %v, %f : vector<16xf32>
    vector.store %y, %x[%i] : memref<4096xf32>, vector<16xf32>
    scf.reduce
  }
  %ok = arith.constant 0 : i32
  return %ok : i32
})";

// Law: with one thread the object needs nothing from outside; with more it needs the OpenMP runtime, and only the bridge's part.
TEST(Emit, UndefinedSymbolsAreTheBridges) {
  llvm::Expected<ObjectBytes> one = compileLoops(scaleText, 1);
  ASSERT_TRUE(bool(one)) << llvm::toString(one.takeError());
  EXPECT_TRUE(llvm::cantFail(undefinedSymbols(*one)).empty());

  llvm::Expected<ObjectBytes> two = compileLoops(scaleText, 2);
  ASSERT_TRUE(bool(two)) << llvm::toString(two.takeError());
  std::vector<std::string> names = llvm::cantFail(undefinedSymbols(*two));
  EXPECT_TRUE(llvm::is_contained(names, "__kmpc_fork_call"));
}

// Law: the door refuses calls that are not on the list, and names all of them.
TEST(Emit, ForeignSymbolsAreRefused) {
  const char *text = R"(
    func.func @call(%x: f32) -> f32 {
      %a = math.exp %x : f32
      %b = math.tanh %a : f32
      return %b : f32
    })";
  std::string error = errorOf(compileLoops(text, 1));
  EXPECT_NE(error.find("'expf'"), std::string::npos) << error;
  error = errorOf(compileLoops("func.func private @puts(memref<8xi8>)\nfunc.func @f(%x: memref<8xi8>) { call @puts(%x) : "
                               "(memref<8xi8>) -> () return }",
                               1));
  EXPECT_NE(error.find("'puts' is not a symbol of the bridge"), std::string::npos) << error;
}

// Law: the same loops give the same bytes.
TEST(Emit, BytesAreReproducible) {
  llvm::Expected<ObjectBytes> a = compileLoops(scaleText, 2), b = compileLoops(scaleText, 2);
  ASSERT_TRUE(a && b);
  EXPECT_TRUE(*a == *b);
}

// Law: code can be made on every host for every target and processor, whether or not it can run there: no name makes LLVM stop.
TEST(Emit, AllTargets) {
  for (const char *name : {"avx512vnni", "avx512", "avx2", "generic", "x86-64", "aarch64", "nocona", "skylake", "znver3", "skylake-avx512",
                           "sapphirerapids", "diamondrapids", "cortex-a53", "cortex-a76", "neoverse-v2", "a64fx", "apple-m4"})
    EXPECT_EQ(errorOf(compileLoops(scaleText, 2, name)), "") << name;
}

} // namespace
