// The door into LLVM names everything that it refuses, not only the first.
// RUN: nibble-opt %s --verify-target --verify-diagnostics

// expected-error@below {{room Target: 'puts' is not a symbol of the bridge (Runtime/Abi.def)}}
llvm.func @puts(!llvm.ptr)
// An intrinsic and a symbol of the bridge are fine.
llvm.func @llvm.fabs.f32(f32) -> f32
llvm.func @memcpy(!llvm.ptr, !llvm.ptr, i64) -> !llvm.ptr

llvm.func @f(%x: f32) -> f32 {
  // expected-error@below {{room Target: 'arith.addf' is left, expected only operations of the LLVM and OpenMP dialects}}
  %y = arith.addf %x, %x : f32
  llvm.return %y : f32
}
