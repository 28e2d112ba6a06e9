//===- ContractionKernel.h - the micro-kernels ---------------------*- C++ -*-===//
//
// A micro-kernel is a private function of the module: a register tile of `rows` x (`vectors` x
// lanes) accumulators that runs over the whole contraction and writes its tile once. As a function
// of its own it is compiled once for all products of a program and its registers are not disturbed
// by what surrounds it (kernels.md, "Register allocation decides").
//
// Codes: elements of 16 or 8 bits in tuples of 4 bytes (T = 2 or 4 terms), sums modulo 2^32:
//   for m = rowBegin; m < rowEnd; m += rows:
//     acc[r][j] = 0, or start[j], or start[m + r]
//     for s in segBegin ... segEnd:   a' = a + rowTable[m + r].a + segTable[s].a,   b' = b +
//     segTable[s].b
//       for t in 0 ... tuples:
//         acc[r][j] += sum over i < T of a'[t·aStep + i] · b'[t·bStep + T·j + i]
//   (Units that add in 16 bits first take all tuples of partSegments segments at a time, or
//   partTuples tuples of one segment, add these from zero in 16 bits, and then to acc.)
//     out[rowTable[m + r].out + j] = f32(acc[r][j]) · scale,  or  out += acc,      for m + r <
//     rowEnd, j < columns
// Steps and offsets count elements. Tables are pairs of i64; the row table (and a start by rows) is
// readable up to a multiple of `rows`, its spare entries naming readable memory. Reads of `b` (and
// a start by columns) cover whole vectors.
//
// Floats, one f32 accumulator an output from +0 and one fma a term, in the order of the loops:
//   acc[r][j] = 0
//   for i1 < n1:  for i2 < n2:  for i3 < n3:
//     acc[r][j] = fma(a[r'·aRow + i1·a1 + i2·a2 + i3·a3], b[i1·b1 + i2·b2 + i3·b3 + j], acc[r][j]),
//     r' = min(r, rowCount - 1)
//   out[r·outRow + j] = acc[r][j]    for r < rowCount, j < columns
// Kernels that read `Columns` read no column of b beyond the last. Kernels that read a `Row` take
// columns that span the pixels of an image row: column j stands at rowAt + i3·rowStep + j of the
// row, and is no term (and not read) where that is not in [0, rowEnd).
//
//===----------------------------------------------------------------------===//
#pragma once

#include "ContractionUnits.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace nibble::contraction {

/// The module's private function of that name, made with `body` where there is none. Returns
/// nothing.
func::FuncOp kernelFunction(Emit &e, StringRef name, TypeRange arguments,
                            function_ref<void(ValueRange)> body);

/// What the kernel of codes does with the exact sums.
enum class Epilogue { StoreF32, StoreI32, AddI32, AddI64 };

/// Where the sums begin. Units of quads multiply unsigned by signed numbers: one operand holds
/// value
/// + offset, and the sums begin at -offset · (sum of the other operand's values), a number a column
/// where the row operand is the unsigned one (Columns), a number a row where the panel is (Rows).
enum class Start { Zero, Columns, Rows };

/// A kernel of codes.
struct CodeKernel {
  const DotUnit *unit;
  int vectors;
  Start start;
  Epilogue epilogue;
  int rows = 0;         // of the register tile; 0: the unit's
  bool streams = false; // StoreF32: whole aligned vectors of columns, stored past the caches
};

/// Arguments of a call of a kernel of codes. Pointers; i64 numbers; f32 scale (any value for the
/// adding epilogues); `start` is any pointer where the sums begin at zero.
struct CodeCall {
  Value a, b, rowTable, segTable, start, out;
  Value rowBegin, rowEnd, segBegin, segEnd, tuples, aStep, bStep, columns;
  Value scale;
  Value partTuples = {}, partSegments = {}; // of units that add in 16 bits first
};
/// Calls the kernel, making it first where the module has none.
void callCodeKernel(Emit &e, const CodeKernel &kernel, const CodeCall &call);

/// How the float kernel reads a vector of columns.
enum class FloatRead { Whole, Columns, Row };

/// A float kernel. With `lanes` (depthwise convolutions) a term's left factor is a vector of
/// columns too: a[... + j] in the place of a[...]; with `scatter` the results of a row lie
/// outColumn apart.
struct FloatKernel {
  int64_t rows, vectors;
  FloatRead read = FloatRead::Whole;
  bool lanes = false, scatter = false;
};

/// Arguments of a call of the float kernel, in its order. Steps count elements.
struct FloatCall {
  Value a, b, out;
  Value rowCount, columns, n1, n2, n3, aRow, a1, a2, a3, b1, b2, b3, outRow;
  Value rowAt = {}, rowStep = {}, rowEnd = {}; // of kernels that read a Row
  Value outColumn = {};                        // of kernels that scatter
};
/// Most vectors of a register tile of floats, and the rows of one with `vectors` vectors.
int64_t floatVectors(const CpuTarget &target);
int64_t floatRows(const CpuTarget &target, int64_t vectors);
void callFloatKernel(Emit &e, const FloatKernel &kernel, const FloatCall &call);

} // namespace nibble::contraction
