//===- NNNorm.td - normalization, softmax, losses -------------*- tablegen -*-===//
#ifndef NIBBLE_DIALECT_NN_IR_NNNORM_TD
#define NIBBLE_DIALECT_NN_IR_NNNORM_TD
include "nibble/Dialect/NN/IR/NNBase.td"

def NN_BatchNormOp : NN_Op<"batch_norm"> {
  let summary = "Batch normalization over the last dimension, as the graph has it";
  let description = [{
    In training: statistics of the batch, running statistics updated by ONNX's rule new = momentum·old + (1 − momentum)·batch
    with the population variance. `frozen`, and in evaluation: the running statistics. Differentiate spells it out as
    `batch_stats` or `batch_norm_fold` and an `fma`. `mean` and `variance` are reads of running_stat variables.
  }];
  let arguments = (ins RealTensor:$x, RealTensor:$scale, RealTensor:$bias, RealTensor:$mean, RealTensor:$variance,
                       F32Attr:$epsilon, F32Attr:$momentum, UnitAttr:$frozen);
  let results = (outs RealTensor:$result);
  let hasVerifier = 1;
}
def NN_BatchStatsOp : NN_Op<"batch_stats", [NN_ChannelFold, NN_ReadsNarrowed]> {
  let summary = "A batch's statistics and the affine map that normalizes it";
  let description = [{
    c = running mean; Σ(z − c), Σ(z − c)² in the per-channel order; mean = c + Σ/n, var = max(0, ΣΣ/n − (Σ/n)²),
    rstd = 1/√(var + ε) in f64 from the unrounded sums, each rounded once; a = γ·rstd and b = β − mean·a from the rounded
    mean and rstd, in f64, rounded once (Numerics/BatchNorm.h).
    Results, each of C: a, b, mean, rstd, new running mean, new running variance.
  }];
  let arguments = (ins RealTensor:$x, RealTensor:$scale, RealTensor:$bias, RealTensor:$mean, RealTensor:$variance,
                       F32Attr:$epsilon, F32Attr:$momentum);
  let results = (outs RealTensor:$a, RealTensor:$b, RealTensor:$batch_mean, RealTensor:$rstd, RealTensor:$new_mean,
                      RealTensor:$new_variance);
  let hasVerifier = 1;
}
def NN_BatchNormFoldOp : NN_Op<"batch_norm_fold"> {
  let summary = "The affine map of running statistics: a = γ/√(var + ε), b = β − mean·a, and rstd (f64, rounded once)";
  let arguments = (ins RealTensor:$scale, RealTensor:$bias, RealTensor:$mean, RealTensor:$variance, F32Attr:$epsilon);
  let results = (outs RealTensor:$a, RealTensor:$b, RealTensor:$rstd);
  let hasVerifier = 1;
}
def NN_BatchNormGradOp : NN_Op<"batch_norm_grad", [NN_ChannelFold, NN_ReadsNarrowed]> {
  let summary = "Coefficients of batch norm's input gradient, and the gradients of γ and β";
  let description = [{
    S₁ = Σdy, S₂ = Σdy·(z − mean), per-channel order; k₁ = γ·rstd, k₂ = −k₁·rstd²·S₂/n, k₃ = −k₁·S₁/n − k₂·mean,
    dγ = S₂·rstd, dβ = S₁; dz = fma(k₁, dy, fma(k₂, z, k₃)) is left to two `nn.fma`. Results of C: k1, k2, k3, dγ, dβ.
  }];
  let arguments = (ins RealTensor:$dy, RealTensor:$x, RealTensor:$scale, RealTensor:$batch_mean, RealTensor:$rstd);
  let results = (outs RealTensor:$k1, RealTensor:$k2, RealTensor:$k3, RealTensor:$dscale, RealTensor:$dbias);
  let hasVerifier = 1;
}
def NN_NormalizedGradOp : NN_Op<"batch_norm_grad_normalized", [NN_ChannelFold, NN_ReadsNarrowed, NN_ReadsCoded]> {
  let summary = "What `batch_norm_grad` makes, from a kept copy of the normalized value x̂ instead of z";
  let description = [{
    `x` is x̂ = (z − mean)·rstd, or what a narrowed copy of it stands for, and `slope` is a = γ·rstd. S₁ = Σdy, S₂ = Σdy·x̂,
    per-channel order; k₂ = −a·S₂/n, k₃ = −a·S₁/n, dγ = S₂, dβ = S₁ (`batch_norm_grad` with mean 0 and deviation 1);
    dz = fma(a, dy, fma(k₂, x̂, k₃)) is left to two `nn.fma`. Results of C: k2, k3, dγ, dβ.
    ```mlir
    %k2, %k3, %dscale, %dbias = nn.batch_norm_grad_normalized %dy, %x, %a : (tensor<8x4x4x16xf32>, tensor<8x4x4x16xf32>,
        tensor<16xf32>) -> (tensor<16xf32>, tensor<16xf32>, tensor<16xf32>, tensor<16xf32>)
    ```
  }];
  let arguments = (ins RealTensor:$dy, RealTensor:$x, RealTensor:$slope);
  let results = (outs RealTensor:$k2, RealTensor:$k3, RealTensor:$dscale, RealTensor:$dbias);
  let hasVerifier = 1;
}
def NN_LayerNormOp : NN_Op<"layer_norm"> {
  let summary = "Normalizes each row (last dimension), then scales and shifts it";
  let description = [{
    Two passes a row: mean = Σx/n, variance = Σ(x − mean)²/n, flat order counted from the row's start;
    rstd = 1/√(variance + ε); x̂ = (x − mean)·rstd, y = fma(x̂, scale, bias), or x̂·scale without `bias`
    (Numerics/LayerNorm.h). `rms`: mean is 0 (root mean square normalization). `mean` and `rstd` have one element a row.
    ```mlir
    %y, %mean, %rstd = nn.layer_norm %x, %scale, %bias {epsilon = 9.99999974E-6 : f32}
        : (tensor<8x256x384xf32>, tensor<384xf32>, tensor<384xf32>) -> (tensor<8x256x384xf32>, tensor<2048xf32>, tensor<2048xf32>)
    ```
  }];
  let arguments = (ins RealTensor:$x, RealTensor:$scale, Optional<RealTensor>:$bias, F32Attr:$epsilon, UnitAttr:$rms);
  let results = (outs RealTensor:$result, RealTensor:$mean, RealTensor:$rstd);
  let hasVerifier = 1;
}
def NN_LayerNormGradOp : NN_Op<"layer_norm_grad", [NN_ReadsNarrowed]> {
  let summary = "Gradients of layer norm: of the rows, of the scale and of the shift";
  let description = [{
    g = dy·scale, x̂ = (x − mean)·rstd; S₁ = Σg, S₂ = Σg·x̂ over the row in the flat order, k₁ = S₁/n, k₂ = S₂/n (f64, rounded once);
    dx = (fma(x̂, −k₂, g) − k₁)·rstd. `rms`: k₁ is 0. dscale = Σdy·x̂ and dbias = Σdy in the per-channel order.
  }];
  let arguments = (ins RealTensor:$dy, RealTensor:$x, RealTensor:$scale, RealTensor:$mean, RealTensor:$rstd, UnitAttr:$rms);
  let results = (outs RealTensor:$dx, RealTensor:$dscale, RealTensor:$dbias);
  let hasVerifier = 1;
}
class NN_SoftmaxLike<string mnemonic, string text> : NN_Op<mnemonic, [SameOperandsAndResultType]> {
  let summary = text;
  let description = [{
    Over the last dimension (the importer transposes). e_i = exp(x_i − max); the row's sum in the flat order counted from
    the row's start, rounded to f32.
  }];
  let arguments = (ins RealTensor:$x);
  let results = (outs RealTensor:$result);
  let assemblyFormat = "operands attr-dict `:` type($result)";
}
def NN_SoftmaxOp : NN_SoftmaxLike<"softmax", "e_i times 1/sum">;
def NN_LogSoftmaxOp : NN_SoftmaxLike<"log_softmax", "(x_i − max) − log(sum)">;

def NN_SoftmaxCrossEntropyOp : NN_Op<"softmax_cross_entropy"> {
  let summary = "Mean cross-entropy of rows of logits with integer labels";
  let description = [{
    logits: rows×classes, labels: rows (i32). Row loss = log(sum) − (x_label − max); `loss` is the flat sum of the rows'
    losses in f64 divided by rows, rounded once. `correct` counts rows whose first maximum is the label.
    `valid` (rank 0, optional) limits both to the first rows (evaluation of a partial batch): then `loss` is the *sum*, rounded once.
    With more leading dimensions (batch×sequence×classes, labels batch×sequence) each label is a row; `valid` counts the first
    dimension, and then `loss` is the sum divided by the labels of one such sample (in f64, before it is rounded).
  }];
  let arguments = (ins RealTensor:$logits, LabelTensor:$labels, Optional<LabelTensor>:$valid);
  let results = (outs RealTensor:$loss, LabelTensor:$correct);
  let hasVerifier = 1;
}
def NN_SoftmaxCrossEntropyGradOp : NN_Op<"softmax_cross_entropy_grad"> {
  let summary = "(softmax(logits) − onehot(label)) · (dloss · (1/rows)), each step rounded";
  let arguments = (ins RealTensor:$logits, LabelTensor:$labels, RealTensor:$dloss);
  let results = (outs RealTensor:$result);
  let hasVerifier = 1;
}
def NN_MseOp : NN_Op<"mse"> {
  let summary = "Mean squared error: flat sum of (y − t)² in f64 over the element count, rounded once";
  let description = [{ With `valid` (rank 0): the sum over the first rows of each row's mean, as in softmax_cross_entropy. }];
  let arguments = (ins RealTensor:$y, RealTensor:$target, Optional<LabelTensor>:$valid);
  let results = (outs RealTensor:$loss);
  let hasVerifier = 1;
}
def NN_BinaryCrossEntropyOp : NN_Op<"binary_cross_entropy"> {
  let summary = "Mean over all elements of (max(x, 0) − x·t) + log(1 + exp(−|x|)) for logits x and targets t in [0, 1]";
  let description = [{
    Sums as `mse` has them, `valid` included. `correct` counts the rows (of the leading dimension) in which every logit is above 0 exactly
    where its target is above ½.
  }];
  let arguments = (ins RealTensor:$logits, RealTensor:$target, Optional<LabelTensor>:$valid);
  let results = (outs RealTensor:$loss, LabelTensor:$correct);
  let hasVerifier = 1;
}
def NN_BinaryCrossEntropyGradOp : NN_Op<"binary_cross_entropy_grad", [NN_Elementwise]> {
  let summary = "(sigmoid(x) − t) · (dloss · (1/count)), each step rounded";
  let arguments = (ins RealTensor:$logits, RealTensor:$target, RealTensor:$dloss);
  let results = (outs RealTensor:$result);
  let hasVerifier = 1;
}
def NN_MseGradOp : NN_Op<"mse_grad", [NN_Elementwise]> {
  let summary = "(y − t) · (dloss · (2/count)), each step rounded";
  let arguments = (ins RealTensor:$y, RealTensor:$target, RealTensor:$dloss);
  let results = (outs RealTensor:$result);
  let hasVerifier = 1;
}
#endif
