//===- ProgramTest.cpp - loaded code computes, in its own float environment -----===//
#include "Compile.h"

#include <cfenv>
#include <cmath>
#include <vector>

using namespace nibble;
using namespace nibble::test;

namespace {

// y = a·b + c by three routes: two roundings, math.fma, vector.fma.
const char *fmaText = R"(
func.func @run(%a: memref<64xf32>, %b: memref<64xf32>, %c: memref<64xf32>, %two: memref<64xf32>, %one: memref<64xf32>,
               %vec: memref<64xf32>) -> i32 {
  %c0 = arith.constant 0 : index
  %c8 = arith.constant 8 : index
  %n = arith.constant 64 : index
  scf.parallel (%i) = (%c0) to (%n) step (%c8) {
    %x = vector.load %a[%i] : memref<64xf32>, vector<8xf32>
    %y = vector.load %b[%i] : memref<64xf32>, vector<8xf32>
    %z = vector.load %c[%i] : memref<64xf32>, vector<8xf32>
    %p = arith.mulf %x, %y : vector<8xf32>
    %s = arith.addf %p, %z : vector<8xf32>
    vector.store %s, %two[%i] : memref<64xf32>, vector<8xf32>
    %f = math.fma %x, %y, %z : vector<8xf32>
    vector.store %f, %one[%i] : memref<64xf32>, vector<8xf32>
    %g = vector.fma %x, %y, %z : vector<8xf32>
    vector.store %g, %vec[%i] : memref<64xf32>, vector<8xf32>
    scf.reduce
  }
  %ok = arith.constant 0 : i32
  return %ok : i32
})";

using RunFunction = int32_t(float *, float *, float *, float *, float *, float *, int32_t threads);

struct Arrays {
  std::vector<float> a, b, c, two, one, vec;
  Arrays() : a(64), b(64), c(64), two(64), one(64), vec(64) {
    for (int i = 0; i < 64; ++i) {
      a[i] = 1.0f + 0x1p-12f * float(i + 1);
      b[i] = 1.0f - 0x1p-13f * float(i);
      c[i] = -1.0f + 0x1p-14f * float(i);
    }
    a[5] = 0x1p-80f, b[5] = 0x1p-60f, c[5] = 0; // a denormal result
  }
  void run(RunFunction *function, int threads) {
    function(a.data(), b.data(), c.data(), two.data(), one.data(), vec.data(), threads);
  }
  void check(const std::string &what) {
    for (int i = 0; i < 64; ++i) {
      volatile float product = a[i] * b[i];
      EXPECT_EQ(two[i], product + c[i]) << what << " " << i;
      EXPECT_EQ(one[i], std::fma(a[i], b[i], c[i])) << what << " " << i;
      EXPECT_EQ(vec[i], one[i]) << what << " " << i;
    }
  }
};

// Law: on every target that the host can run, with and without threads, a product and a sum round twice and an fma once, and
// denormals are kept.
TEST(Program, RoundingIsWhatTheLoopsSay) {
  for (const char *name : {"generic", "avx2", "avx512", "avx512vnni", "native"})
    for (unsigned threads : {1u, 2u, 4u}) {
      Machine machine = llvm::cantFail(Machine::create(name));
      if (!machine.runsOnHost)
        continue;
      std::unique_ptr<Program> program = load(fmaText, threads, name);
      ASSERT_TRUE(program);
      auto *run = reinterpret_cast<RunFunction *>(program->find("run"));
      ASSERT_TRUE(run);
      Arrays arrays;
      arrays.run(run, static_cast<int>(threads));
      EXPECT_EQ(arrays.two[5], 0x1p-140f);
      arrays.check(std::string(name) + " " + std::to_string(threads));
    }
}

// Law: the caller's rounding mode changes nothing in a step, also in its threads, and is back when the step returns.
TEST(Program, CallersEnvironmentIsSetAside) {
  std::unique_ptr<Program> program = load(fmaText, 4);
  ASSERT_TRUE(program);
  auto *run = reinterpret_cast<RunFunction *>(program->find("run"));
  ASSERT_TRUE(run);
  Arrays upward, nearest;
  ASSERT_EQ(std::fesetround(FE_UPWARD), 0);
  upward.run(run, 4);
  int after = std::fegetround();
  std::fesetround(FE_TONEAREST);
  nearest.run(run, 4);
  EXPECT_EQ(after, FE_UPWARD);
  EXPECT_EQ(upward.one, nearest.one);
  EXPECT_EQ(upward.two, nearest.two);
  EXPECT_EQ(upward.vec, nearest.vec);
}

// Law: one program runs with teams of every size: the size is an argument, not part of the code.
TEST(Program, TeamSizeIsAnArgument) {
  std::unique_ptr<Program> program = load(fmaText, 2);
  ASSERT_TRUE(program);
  auto *run = reinterpret_cast<RunFunction *>(program->find("run"));
  ASSERT_TRUE(run);
  for (int threads : {1, 2, 3, 7}) {
    Arrays arrays;
    arrays.run(run, threads);
    arrays.check(std::to_string(threads) + " threads");
  }
}

// Law: private functions are not entry points; a name that is not there is null.
TEST(Program, OnlyEntryPointsAreFound) {
  std::unique_ptr<Program> program = load(R"(
    func.func private @helper(%x: i32) -> i32 { return %x : i32 }
    func.func @entry(%x: i32) -> i32 {
      %y = call @helper(%x) : (i32) -> i32
      return %y : i32
    })",
                                          1);
  ASSERT_TRUE(program);
  EXPECT_EQ(program->find("helper"), nullptr);
  EXPECT_EQ(program->find("nothing"), nullptr);
  EXPECT_EQ(reinterpret_cast<int32_t (*)(int32_t, int32_t)>(program->find("entry"))(42, 1), 42);
}

} // namespace
