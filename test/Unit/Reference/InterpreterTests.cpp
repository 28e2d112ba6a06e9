//===- InterpreterTests.cpp - Runs: state, guards, reports, errors ------------===//
#include "TestSupport.h"

using namespace nibble;
using namespace nibble::reference;
using namespace nibble::reference::test;

namespace {
const char *kStep = R"(
  train.variable @w : tensor<2xf32> {role = #train.role<weight>, trainable, value = dense<[1.0, 2.0]> : tensor<2xf32>}
  train.variable @m : tensor<2xf32> {role = #train.role<moment>}
  func.func @step(%x: tensor<2xf32>) -> (tensor<2xf32>, tensor<2xf32>) {
    %w = train.read @w : tensor<2xf32>
    %new = nn.add %w, %x : (tensor<2xf32>, tensor<2xf32>) -> tensor<2xf32>
    %flag = q4.non_finite %new {infinities} : (tensor<2xf32>) -> tensor<i1>
    %two = arith.constant dense<[2, 3]> : tensor<2xi32>
    train.report %two {keys = ["a/x/ends", "a/x/zeros"], count = 4 : i64} : tensor<2xi32>
    train.write @w, %new : tensor<2xf32>
    train.guard %flag : tensor<i1>
    %again = train.read @w : tensor<2xf32>
    %saved = train.save %again : tensor<2xf32>
    train.write @m, %x : tensor<2xf32>
    return %new, %saved : tensor<2xf32>, tensor<2xf32>
  })";
} // namespace

// Variables start at their value, or at zero; reads see the start of the step even after a write;
// writes last.
TEST(Interpreter, ReadsSeeTheStart) {
  Program program(kStep);
  auto store = VariableStore<float>::fromModule(*program.module);
  ASSERT_TRUE(mlir::succeeded(store));
  expectBits((*store)["m"], {0, 0});
  Interpreter<float> interpreter;
  auto r = interpreter.run(program.function("step"), {vec({10, 20})}, *store);
  ASSERT_TRUE(mlir::succeeded(r)) << program.errors;
  EXPECT_EQ(r->status, RunStatus::Ok);
  expectBits(r->outputs[0], {11, 22});
  expectBits(r->outputs[1], {1, 2});
  expectBits((*store)["w"], {11, 22});
  expectBits((*store)["m"], {10, 20});
}

// A report is a number a key, i32 divided by `count` in f32, and comes out of a step that a guard
// stops too.
TEST(Interpreter, Report) {
  Program program(kStep);
  auto store = VariableStore<float>::fromModule(*program.module);
  auto r = Interpreter<float>().run(program.function("step"), {vec({kNan, 0})}, *store);
  ASSERT_TRUE(mlir::succeeded(r)) << program.errors;
  EXPECT_EQ(r->report.lookup("a/x/ends"), 0.5f);
  EXPECT_EQ(r->report.lookup("a/x/zeros"), 0.75f);
}

// A guard whose flag is set ends the step: NONFINITE, and no bit of any variable has changed, not
// even of one whose write stands before the guard.
TEST(Interpreter, GuardLeavesTheStoreUntouched) {
  Program program(kStep);
  auto store = VariableStore<float>::fromModule(*program.module);
  for (float bad : {kNan, kInf, -kInf}) {
    VariableStore<float> before = *store;
    auto r = Interpreter<float>().run(program.function("step"), {vec({0, bad})}, *store);
    ASSERT_TRUE(mlir::succeeded(r)) << program.errors;
    EXPECT_EQ(r->status, RunStatus::NonFinite);
    EXPECT_TRUE(before.bitIdentical(*store));
    ASSERT_EQ(r->outputs.size(), 2u);
    expectBits(r->outputs[1], {0, 0}); // not computed
  }
}

// Weights may come as a resource: the blob's bytes are the elements.
TEST(Interpreter, DenseResource) {
  Program program(R"(
    module {
      train.variable @w : tensor<2xf32> {role = #train.role<weight>, value = dense_resource<w> : tensor<2xf32>}
    }
    {-# dialect_resources: { builtin: { w: "0x040000000000803F000000C0" } } #-})");
  auto store = VariableStore<float>::fromModule(*program.module);
  ASSERT_TRUE(mlir::succeeded(store)) << program.errors;
  expectBits((*store)["w"], {1, -2});
}

// Constants of every element type that programs use.
TEST(Interpreter, Constants) {
  auto r = run<float>(R"(
    func.func @f() -> (tensor<2xf32>, tensor<i32>, tensor<2xi1>, tensor<i16>, tensor<i64>, tensor<f64>) {
      %a = arith.constant dense<[1.5, -2.0]> : tensor<2xf32>
      %b = arith.constant dense<-8> : tensor<i32>
      %c = arith.constant dense<[true, false]> : tensor<2xi1>
      %d = arith.constant dense<-1> : tensor<i16>
      %e = arith.constant dense<-3> : tensor<i64>
      %g = arith.constant dense<0.1> : tensor<f64>
      return %a, %b, %c, %d, %e, %g : tensor<2xf32>, tensor<i32>, tensor<2xi1>, tensor<i16>, tensor<i64>, tensor<f64>
    })",
                      {});
  expectBits(r[0], {1.5f, -2});
  EXPECT_EQ(r[1].ints[0], -8);
  EXPECT_EQ(r[2].ints, (std::vector<int32_t>{1, 0}));
  EXPECT_EQ(r[3].ints[0], 65535); // random bits are 0 … 65535
  EXPECT_EQ(r[4].wides[0], -3);
  EXPECT_EQ(r[5].doubles[0], 0.1);
}

// An op without an entry is an error that names it; nothing aborts and the store is untouched.
TEST(Interpreter, UnknownOp) {
  Program program(
      "func.func @f(%x: i32) -> i32 {\n  %y = arith.addi %x, %x : i32\n  return %y : i32\n}");
  EXPECT_TRUE(mlir::failed(Interpreter<float>().run(program.function("f"), {})));
  Program other("func.func @f() -> tensor<f32> {\n  %c = arith.constant dense<1.0> : tensor<f32>\n "
                " %y = arith.addf %c, %c : "
                "tensor<f32>\n  return %y : tensor<f32>\n}");
  EXPECT_TRUE(mlir::failed(Interpreter<float>().run(other.function("f"), {})));
  EXPECT_NE(other.errors.find("does not know this op"), std::string::npos) << other.errors;
}

// Arguments of another number, shape or element type are refused with a message.
TEST(Interpreter, WrongArguments) {
  Program program(oneOp("%x: tensor<2xf32>", "nn.relu %x : tensor<2xf32>", "tensor<2xf32>"));
  Interpreter<float> interpreter;
  EXPECT_TRUE(mlir::failed(interpreter.run(program.function("f"), {})));
  EXPECT_TRUE(mlir::failed(interpreter.run(program.function("f"), {vec({1, 2, 3})})));
  EXPECT_TRUE(mlir::failed(interpreter.run(program.function("f"), {TensorF::labels({1, 2})})));
  EXPECT_NE(program.errors.find("argument 0 is 'tensor<2xf32>'"), std::string::npos)
      << program.errors;
  EXPECT_TRUE(mlir::succeeded(interpreter.run(program.function("f"), {vec({1, 2})})));
}
