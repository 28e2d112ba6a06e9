//===- NNShape.td - moving elements, reducing, pooling --------*- tablegen -*-===//
#ifndef NIBBLE_DIALECT_NN_IR_NNSHAPE_TD
#define NIBBLE_DIALECT_NN_IR_NNSHAPE_TD
include "nibble/Dialect/NN/IR/NNBase.td"

def NN_ReshapeOp : NN_Op<"reshape"> {
  let summary = "The same elements in flat order under another shape (any element type)";
  let arguments = (ins AnyStaticShapeTensor:$x);
  let results = (outs AnyStaticShapeTensor:$result);
  let hasVerifier = 1; let hasFolder = 1;
}
def NN_TransposeOp : NN_Op<"transpose"> {
  let summary = "result dimension i is operand dimension perm[i]";
  let arguments = (ins RealTensor:$x, DenseI64ArrayAttr:$perm);
  let results = (outs RealTensor:$result);
  let builders = [OpBuilder<(ins "::mlir::Value":$x, "::llvm::ArrayRef<int64_t>":$perm)>];
  let hasVerifier = 1; let hasFolder = 1; let hasCanonicalizer = 1;
}
def NN_BroadcastOp : NN_Op<"broadcast"> {
  let summary = "Repeats dimensions of 1 (or missing leading ones) to the result's shape";
  let arguments = (ins RealTensor:$x);
  let results = (outs RealTensor:$result);
  let hasVerifier = 1; let hasFolder = 1;
}
def NN_EmbeddingOp : NN_Op<"embedding"> {
  let summary = "Rows of a table, by their numbers";
  let description = [{
    table: V×D, tokens: whole numbers 0 … V − 1 of any shape; result: that shape and D behind it. Runtime has checked the numbers;
    the interpreter refuses others, and compiled code reads the nearest row.
  }];
  let arguments = (ins RealTensor:$table, LabelTensor:$tokens);
  let results = (outs RealTensor:$result);
  let hasVerifier = 1;
}
def NN_EmbeddingGradOp : NN_Op<"embedding_grad"> {
  let summary = "Gradient of an embedding's table: each row the sum of dy over the tokens that name it";
  let description = [{ One f32 accumulator an element from +0, tokens in ascending flat order. Rows that no token names are +0. }];
  let arguments = (ins RealTensor:$dy, LabelTensor:$tokens);
  let results = (outs RealTensor:$result);
  let hasVerifier = 1;
}
def NN_ConcatOp : NN_Op<"concat"> {
  let summary = "Joins tensors along one axis";
  let arguments = (ins Variadic<RealTensor>:$parts, I64Attr:$axis);
  let results = (outs RealTensor:$result);
  let hasVerifier = 1;
}
def NN_SliceOp : NN_Op<"slice"> {
  let summary = "result[i] = x[starts + i·steps]; steps are not 0, negative ones walk backwards";
  let arguments = (ins RealTensor:$x, DenseI64ArrayAttr:$starts, DenseI64ArrayAttr:$steps);
  let results = (outs RealTensor:$result);
  let hasVerifier = 1; let hasFolder = 1;
}
def NN_UnsliceOp : NN_Op<"unslice"> {
  let summary = "The adjoint of `slice`: zeros of the result's shape with x at starts + i·steps";
  let arguments = (ins RealTensor:$x, DenseI64ArrayAttr:$starts, DenseI64ArrayAttr:$steps);
  let results = (outs RealTensor:$result);
  let hasVerifier = 1;
}
class NN_Reduce<string mnemonic, string text> : NN_Op<mnemonic> {
  let summary = text;
  let description = [{
    One f32 accumulator an output from +0, operand elements in ascending flat order (numerics.md, section 5).
    `axes` are sorted, not negative; reduced dimensions stay as 1 (a reshape drops them).
  }];
  let arguments = (ins RealTensor:$x, DenseI64ArrayAttr:$axes);
  let results = (outs RealTensor:$result);
  let builders = [OpBuilder<(ins "::mlir::Value":$x, "::llvm::ArrayRef<int64_t>":$axes)>];
  let hasVerifier = 1;
}
def NN_ReduceSumOp : NN_Reduce<"reduce_sum", "Sum over axes">;
def NN_ReduceMeanOp : NN_Reduce<"reduce_mean", "Sum over axes, then one division by the count">;

def NN_ChannelSumOp : NN_Op<"channel_sum", [NN_ChannelFold]> {
  let summary = "Sum over all but the last dimension, in the per-channel order";
  let description = [{
    Result rank 1. Blocks of one image (rank 4) or 96 rows (other ranks, leading dimensions flattened), row-major from
    +0 in f32; block sums ascending in f64, rounded once (numerics.md, section 5). Bias gradients.
  }];
  let arguments = (ins RealTensor:$x);
  let results = (outs RealTensor:$result);
  let hasVerifier = 1;
}
def NN_ClipAlphaGradOp : NN_Op<"clip_alpha_grad", [NN_ChannelFold]> {
  let summary = "dα of a learned clip: terms bit ? +0 : (y > 0 ? +dy : y < 0 ? −dy : +0)";
  let description = [{
    y is the clipped value; where the pass bit is unset its sign tells which end clipped. After quantization y may be the
    value's 4-bit codes (`zero_point` then says which code is zero), which tell the same. `y` has element type f32 or a
    q4 type. One-sided: the lower end (y = 0) contributes +0. Whole-tensor sum over channels' f64 sums, rounded once.
  }];
  let arguments = (ins RealTensor:$dy, MaskTensor:$inside, AnyStaticShapeTensor:$y, Optional<LabelTensor>:$zero_point);
  let results = (outs RealTensor:$result);
  let hasVerifier = 1;
}

class NN_Pool<string mnemonic, string text> : NN_Op<mnemonic> {
  let summary = text;
  dag window = (ins DenseI64ArrayAttr:$kernel, DenseI64ArrayAttr:$strides, DenseI64ArrayAttr:$pads,
                    DenseI64ArrayAttr:$dilations);
  let hasVerifier = 1;
}
def NN_MaxPoolOp : NN_Pool<"max_pool", "Largest value of each window (channels-last), and its index in the window"> {
  let description = [{
    x: N×H×W×C. `index` is kh·KW + kw of the first maximum (i8 holding 0..255 unsigned where KH·KW ≤ 256, else i32);
    taps outside are no candidates; max starts at the first tap inside and is replaced where value > max (a NaN at the
    first tap stays). pads = [top, left, bottom, right]. The output size is the result's: with ceil mode it may exceed the floor formula.
  }];
  let arguments = !con((ins RealTensor:$x), window);
  let results = (outs RealTensor:$result, PoolIndexTensor:$index);
}
def NN_MaxPoolGradOp : NN_Pool<"max_pool_grad", "dx[i] = sum over the windows, ascending, whose index names i, of dy"> {
  let arguments = !con((ins RealTensor:$dy, PoolIndexTensor:$index), window);
  let results = (outs RealTensor:$result);
}
def NN_AvgPoolOp : NN_Pool<"avg_pool", "Mean of each window: sum in ascending order, one division"> {
  let description = [{ The divisor is KH·KW (`count_include_pad`) or the number of taps inside. }];
  let arguments = !con((ins RealTensor:$x), window, (ins UnitAttr:$count_include_pad));
  let results = (outs RealTensor:$result);
}
def NN_AvgPoolGradOp : NN_Pool<"avg_pool_grad", "dx[i] = sum over the windows that hold i, ascending, of dy / divisor"> {
  let arguments = !con((ins RealTensor:$dy), window, (ins UnitAttr:$count_include_pad));
  let results = (outs RealTensor:$result);
}
#endif
