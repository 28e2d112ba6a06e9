//===- Passes.td - the room Differentiate --------------------*- tablegen -*-===//
#ifndef NIBBLE_DIFFERENTIATE_PASSES_TD
#define NIBBLE_DIFFERENTIATE_PASSES_TD

include "mlir/Pass/PassBase.td"

def AssignPrecision : Pass<"assign-precision", "::mlir::ModuleOp"> {
  let summary = "Says for each layer in which numbers its three products run, and why";
  let description = [{
    Strategy: each contraction of `@forward` asks the policy of Analysis/Precision.h, which applies the first rule that holds:
    float recipe, `keep-float`, operands other than (activation, weight), depthwise, first or last layer, shortcut; what is left
    is int4. First: a contraction with weights and none before it on any path; last: none after it.

    Before: `@forward` of contract `graph`. After: `precision` and `reason` are set on every contraction of `@forward` (the
    gradients take them over), and the module's attribute `nibble.recipe` holds every option of the recipe.

    Source: Sun et al., NeurIPS 2020, section 4 (first and last layers, 1×1 shortcut convolutions); numerics.md, section 1.
    Living example: test/Differentiate/assign-precision.mlir.
  }];
  let options = [
    Option<"recipe", "recipe", "std::string", "\"ibm\"",
           "f32, w4a4, ibm, ibm+, luq or int4, then what is changed in it: ibm,first-last=float">
  ];
}

def InsertClips : Pass<"insert-clips", "::mlir::ModuleOp"> {
  let summary = "Puts a learned clip before each 4-bit forward product (PACT)";
  let description = [{
    Strategy: for each int4 contraction of `@forward` its left operand x is replaced by `nn.clip_learned(x, α)`, α a new trainable
    variable `@<layer>.alpha` (role clip; 0 stands for unset). Contractions that share x share the clip, named after the
    first of them; other uses of x stay unclipped. The clip is one-sided where x is provably ≥ 0 (Analysis/NonNegative.h). A
    value that is only data (the network's input, perhaps scaled by constants) gets no clip: Quantize takes its range.

    A clip is a real-number op with an ordinary gradient, so it comes before differentiation; Quantize then adds only rounding.
    Before: precisions are assigned. After: with `activations=pact` every int4 contraction's x is a clip or data; with other
    choices and in `f32` nothing changes.

    Source: Choi et al., PACT, arXiv:1805.06085, eq. 1 and 3; numerics.md, section 1.
    Living example: test/Differentiate/insert-clips.mlir.
  }];
  let dependentDialects = ["::nibble::nn::NNDialect", "::nibble::train::TrainDialect"];
}

def BuildTrainStep : Pass<"build-train-step", "::mlir::ModuleOp"> {
  let summary = "Makes @train_step: forward, loss, backward, update";
  let description = [{
    Strategy, in the order of the resulting function: (1) `@forward` is copied, one read a variable; beside batch
    normalization stand its statistics, beside dropout its mask, beside a learned clip its bound (`q4.init_clip`). (2) The
    loss. (3) Reverse mode from the loss to the trainable variables through DifferentiableOpInterface; only values that depend
    on one get a gradient. Forward values reach the backward part through one `train.save` each. (4) Batch normalization and
    dropout are replaced by what they spell. (5) The optimizer, `train.guard` on non-finite loss or parameter gradients, then the
    writes: parameters, moments (new variables of role moment), running statistics. Pure ops without a use are dropped.

    Before: `@forward` of contract `graph`. After: the function
    `@train_step(x, labels, lr, step, rng) -> (loss, correct)`; `@forward` is unchanged. Ops that have no gradient on the way to
    a trained weight are all reported. A trainable variable that does not influence the loss gets a warning and is no longer
    trainable; no trainable variable at all is an error.

    Source: Griewank & Walther, Evaluating Derivatives, 2nd ed., algorithm 3.8 (reverse mode); numerics.md, sections 5 and 7.
    Living example: test/Differentiate/build-train-step.mlir.
  }];
  let options = [
    Option<"step", "step", "std::string", "\"\"",
           "loss and optimizer, as in optimizer=adamw,weight-decay=0.01 (Recipe/StepOptions.h); default: SGD with momentum 0.9">
  ];
  let dependentDialects = ["::nibble::nn::NNDialect", "::nibble::q4::Q4Dialect", "::nibble::train::TrainDialect",
                           "::mlir::arith::ArithDialect"];
}

def CombineGradients : Pass<"combine-gradients", "::mlir::ModuleOp"> {
  let summary = "Makes one op of sums that reverse mode builds for shared weights and for parts of a tensor";
  let description = [{
    Strategy: for each sum of gradients (a tree of additions of equal shapes) of @train_step: (1) where every term is the weight
    gradient Xᵀ·dY of a matrix product, as of a recurrent layer's steps of time or a layer that is applied several times, the Xs and
    the dYs are joined along their rows, in the order of the applications, and one product takes all of them; (2) where the terms
    are `nn.unslice`s that fill a tensor without gap or overlap, the parts are joined by one `nn.concat`.

    In real numbers both mean the same; in f32 the order of the additions becomes that of one product (numerics.md, section 5). Quantize
    then codes the joined dY with one scale and one stream, as numerics.md, section 6, says of recurrent layers.

    Before: @train_step as build-train-step leaves it. After: the same function of its arguments, with fewer ops.
    Living example: test/Differentiate/combine-gradients.mlir.
  }];
  let dependentDialects = ["::nibble::nn::NNDialect"];
}

def BuildEvalStep : Pass<"build-eval-step", "::mlir::ModuleOp"> {
  let summary = "Makes @eval_step from @forward and removes @forward";
  let description = [{
    Strategy: `@forward` is copied; batch normalization becomes `nn.batch_norm_fold` of the running statistics and an `nn.fma`,
    dropout the identity, a learned clip takes its bound through `q4.init_clip` (an unset bound calibrates on the batch). The loss
    is the sum over the first `valid` rows, so that partial batches can be scored.

    Before: `@forward` of contract `graph`. After: `@eval_step(x, labels, valid) -> (loss_sum, correct, output)`, and no
    `@forward`. The function writes nothing.

    Source: numerics.md, sections 1 (frozen ranges) and 7. Living example: test/Differentiate/build-eval-step.mlir.
  }];
  let options = [
    Option<"step", "step", "std::string", "\"\"", "as for build-train-step: the loss">
  ];
  let dependentDialects = ["::nibble::nn::NNDialect", "::nibble::q4::Q4Dialect", "::nibble::train::TrainDialect",
                           "::mlir::arith::ArithDialect"];
}

def VerifyGradient : Pass<"verify-gradient", "::mlir::ModuleOp"> {
  let summary = "The door of Differentiate: one gradient a parameter, one save a forward value";
  let description = [{
    Read-only. The backward part of `@train_step` is what depends on a `train.save`. Checked: every trainable variable is
    written once, by a value that an optimizer op made from a gradient of the backward part; no other parameter is written; the
    backward part sees forward values only through saves (reads, constants, the labels, the rate and random bits excepted); no
    value is saved twice; nothing is spelled out no longer (`nn.batch_norm`, `nn.dropout`); every write comes after the one
    `train.guard`; `@forward` is gone; `@eval_step` writes nothing.

    Before and after: contract `gradient`. Living example: test/Differentiate/verify-gradient.mlir.
  }];
}

#endif
