//===- Passes.td - room 3: from a real-number gradient graph to four bits -------*- tablegen -*-===//
#ifndef NIBBLE_QUANTIZE_PASSES_TD
#define NIBBLE_QUANTIZE_PASSES_TD
include "mlir/Pass/PassBase.td"

class RecipePass<string mnemonic> : Pass<mnemonic, "::mlir::ModuleOp"> {
  let options = [Option<"recipe", "recipe", "std::string", "\"\"",
      "The recipe as text (\"ibm,first-last=float\"); empty: the module's attribute nibble.recipe">];
  let dependentDialects = ["::nibble::nn::NNDialect", "::nibble::q4::Q4Dialect", "::nibble::train::TrainDialect",
                           "::mlir::arith::ArithDialect"];
}

def InsertQuantizers : RecipePass<"insert-quantizers"> {
  let summary = "Puts a quantizer before each operand of a product that runs in 4 or 8 bits";
  let description = [{
    *Strategy.* Plainly, product by product and operand by operand, as if nothing were shared: the operand becomes its range,
    its scale and its codes, and the `nn` contraction its `q4` twin, which takes codes and scales. What an operand is follows
    from the forward product of its layer: X (its left), W (its right), dY (neither). Equal quantizers of several products are
    merged by CSE, copies of forward values by `share-codes`.

    | operand | int4 | int8 (first and last layer, shortcuts) |
    |---|---|---|
    | W | `sawb_clip`, scale α/7, codes ±7 | `absmax`, scale max/127 |
    | X | learned clip: α/15 (one-sided) or α/7; `dynamic`: this round's maximum; `minmax` and 4-bit network inputs: `range` | `absmax`, scale max/127 |
    | dY | radix 4: GradScale, even grid for dX, odd for dW, to nearest; LUQ: max/64, radix 2, stochastic; int4: max/7, stochastic | max/127, stochastic |

    With `gradients=float` the gradients' products stay float, and the coded operand beside dY is decoded first. In
    `@eval_step` ranges are frozen: α, or the moving average of the training rounds' ranges, and, where there is none yet,
    those of the first batch that is evaluated, which are kept.

    *Before.* Door of room 2: contractions carry layer, product, precision, reason; a clipped value is the result of
    `nn.clip_learned`. *After.* No `nn` contraction has precision int4 or int8; state variables `LAYER.range`,
    `LAYER.range_lo`, `LAYER.range_hi`, `LAYER.grad_scale` exist, are read, and are written after the guard.

    *Source.* Sun et al., NeurIPS 2020 (radix 4, GradScale, two phases); Choi et al., 2018 and 2019 (PACT, SAWB); Chmiel et al.,
    ICLR 2023 (LUQ); numerics.md, sections 1 to 3. *Living example:* test/Quantize/insert-quantizers.mlir.
  }];
}

def ShareCodes : Pass<"share-codes", "::mlir::func::FuncOp"> {
  let summary = "The backward part uses the forward part's codes: saved are 4 bits an element, not 32";
  let description = [{
    *Strategy.* A range, a scale or codes computed from saved forward values are the forward part's own: quantize(save(x)) becomes
    save(quantize(x)). Then each code tensor, scale and zero point of the forward part that a gradient's product reads goes
    through one `train.save`, weights' codes too. The gradient of a learned clip reads, in place of the clipped
    value, its codes: their sign tells which end clipped.

    *Before.* `insert-quantizers`, then CSE. *After.* No product of a gradient quantizes X or W itself; CSE then leaves one quantizer
    a tensor, and the saves of real values that nobody reads any more are dead.

    *Source.* Numerics.md, section 1 ("the same codes of X as forward"). *Living example:* test/Quantize/share-codes.mlir.
  }];
  let dependentDialects = ["::nibble::q4::Q4Dialect", "::nibble::train::TrainDialect"];
}

def FoldQuantizers : Pass<"fold-quantizers", "::mlir::func::FuncOp"> {
  let summary = "Removes quantizers, decodings and saves that do nothing";
  let description = [{
    *Strategy.* Patterns: quantizing, to nearest, what was decoded with the same scale and zero point gives the codes back (the
    error of the round trip is below 2⁻¹⁶ of a step, Numerics/Int4.h); a save of a save is one save; what nobody reads is dropped.

    *Before.* Any. *After.* None of the patterns is there. *Living example:* test/Quantize/fold-quantizers.mlir.
  }];
  let dependentDialects = ["::nibble::q4::Q4Dialect", "::nibble::train::TrainDialect"];
}

def InsertFlags : Pass<"insert-flags", "::mlir::func::FuncOp"> {
  let summary = "A quantizer that meets NaN, or ±Inf in a gradient, ends the step before anything is written";
  let description = [{
    *Strategy.* For each real tensor that is quantized, one flag (`q4.non_finite`) joins the OR that `train.guard` reads. Where
    a maximum or a range of the same tensor is there already, the flag is that of the scalar, and no second pass over the tensor is
    made. The flag stands beside the quantizer, so that it does not keep the tensor alive.

    *Before.* One `train.guard` in a function that trains. *After.* Each quantizer's input is flagged. In `@eval_step` ranges that are kept
    are flagged, and a guard stands before their writes.

    *Source.* Numerics.md, section 7. *Living example:* test/Quantize/insert-flags.mlir.
  }];
  let dependentDialects = ["::nibble::q4::Q4Dialect", "::nibble::train::TrainDialect"];
}

def InsertReports : Pass<"insert-reports", "::mlir::func::FuncOp"> {
  let summary = "Saturation, underflow and scale of each quantized tensor, for the log";
  let description = [{
    *Strategy.* For each layer and each of weight, input and output_gradient: `q4.code_counts` over the element count as
    LAYER/TENSOR/saturation and LAYER/TENSOR/underflow, the scale as LAYER/TENSOR/scale. Where dY has two sets of codes (two
    phases, two draws) the report is of those that the weight gradient uses. Only `@train_step` reports.

    With `fidelity` (--health) also LAYER/TENSOR/gain and LAYER/TENSOR/noise of `q4.fidelity`: another pass over each tensor, and the
    tensor has to lie in memory.

    *Before.* Codes are shared. *After.* Each key once. *Living example:* test/Quantize/insert-reports.mlir.
  }];
  let options = [Option<"fidelity", "fidelity", "bool", "false", "report gain and noise of each quantized tensor">];
  let dependentDialects = ["::nibble::q4::Q4Dialect", "::nibble::train::TrainDialect"];
}

def ThinWindows : Pass<"thin-windows", "::mlir::func::FuncOp"> {
  let summary = "A 1x1 window that steps over pixels reads, and keeps, only those it stands on";
  let description = [{
    *Strategy.* The forward product of a 1x1 convolution with strides becomes one without, of the pixels that `nn.slice` picks, and its
    weight gradient reads their codes. The scale is still that of the whole tensor, so not a bit of a product changes; a quarter of the
    pixels is coded and kept. (The shortcuts of residual networks.)

    *Before.* Codes are shared. *After.* No coded 1x1 forward product without padding has strides, unless other products read the codes of
    all pixels. *Living example:*
    test/Quantize/thin-windows.mlir.
  }];
  let dependentDialects = ["::nibble::nn::NNDialect", "::nibble::q4::Q4Dialect", "::nibble::train::TrainDialect"];
}

def DropResiduals : Pass<"drop-residuals", "::mlir::func::FuncOp"> {
  let summary = "What other kept values tell is not kept beside them";
  let description = [{
    *Strategy.* Two patterns on saved values. relu's bit x > 0, where a one-sided clip of the same x keeps its codes and its bit 0 < x < α,
    is told by these: x is above 0 iff it is inside, or its code is above zero's, as at the clip's upper end. A saved sum, difference or
    product of another saved value with a constant is made again from that, where gradients may read it narrowed.

    *Before.* Codes are shared. *After.* Neither pattern is there; not a bit of the step has changed. *Living example:*
    test/Quantize/drop-residuals.mlir.
  }];
  let dependentDialects = ["::nibble::nn::NNDialect", "::nibble::q4::Q4Dialect", "::nibble::train::TrainDialect"];
}

def NarrowResiduals : RecipePass<"narrow-residuals"> {
  let summary = "Real values that the backward pass reads are kept in fewer bits";
  let description = [{
    *Strategy.* By the recipe's `residuals`, in `@train_step` alone:

    | | batch norm's input z | other real values |
    |---|---|---|
    | `f32` | as it is | as they are |
    | `bf16` | `q4.narrow`; statistics, normalization and gradient all read the narrowed z | a narrowed copy, for the gradient alone |
    | `int8`, `int4` | x̂ = (z − mean)·rstd as symmetric codes, clipped at 8 or 3.5, for the gradient alone: it becomes `nn.batch_norm_grad_normalized` | as with `bf16` |
    | `recompute` | nothing: the backward part multiplies its product again, from the codes that it keeps anyway; bf16 where no product of codes made it | as with `bf16` |

    A 1x1 convolution of at most 256 terms is multiplied again in any case but `f32`. The attribute `nibble.repeated` marks such products,
    which tables do not list twice.

    "Other values" are saved tensors of more than one dimension that only element-wise ops and layer norm's gradient read. Operands
    of products that stay float and what the loss's gradient reads are kept as they are. A step without any product of codes is
    left alone.

    *Before.* Codes are shared, flags and reports are in. *After.* No f32 tensor of that kind goes through `train.save`.

    *Source.* Numerics.md, section 5. *Living example:* test/Quantize/narrow-residuals.mlir.
  }];
}

def AccumulateMicroBatches : Pass<"accumulate-micro-batches", "::mlir::ModuleOp"> {
  let summary = "An update of N calls of @train_step: gradients are averaged, state is written by the last call";
  let description = [{
    *Strategy.* N is `accumulate` of the module's attribute `nibble.step`; with 1 nothing happens. `train.micro_batch` tells the first
    and the last call of an update. Each parameter's gradient g becomes (first ? g : sum + g)·(1/N), the sum kept in a new variable
    `@NAME.gradient_sum`; optimizer, clipping by norm and flags take it. Parameters, moments, bounds, gradient scales and ranges
    are written as last ? new : old. What a micro-batch hands to the next within an update goes through a variable `@NAME.shadow`: running
    statistics, which follow every micro-batch, and a bound that is still unset, which the first one sets. The last call copies
    shadows back, so an update that ends with NONFINITE leaves everything but sums and shadows as it was, and the next update's first call
    reads neither.

    Codes of weights are made anew in each call, from weights that have not changed: the same codes. Gradient scales and ranges follow
    the last micro-batch; random bits differ, since the counter does.

    *Before.* Flags and reports are in. *After.* `@train_step` is called N times an update, its counter update·N + micro-batch, its step
    number that of the update. Source: numerics.md, section 7. *Living example:* test/Quantize/accumulate.mlir.
  }];
  let dependentDialects = ["::nibble::nn::NNDialect", "::nibble::train::TrainDialect", "::mlir::arith::ArithDialect"];
}

def VerifyQuantized : RecipePass<"verify-quantized"> {
  let summary = "The door of room 3";
  let description = [{
    Read-only, and written without the code of the passes above it. Errors say room, layer, product, what was found and what was
    expected, with a note at the place that caused it. Checked in `@train_step` and `@eval_step`:

    * no contraction is left whose precision asks for codes and that multiplies reals; each that is not int4 says why;
    * an int4 product has two operands of 4 bits, an int8 product two of int8; int4 quantizers have at most 16 codes;
    * the codes of dY are the recipe's;
    * each product's scales and zero points are those that its codes were made with, and those come from an op that makes scales
      of a value of this step (no constant, no argument);
    * the gradients' products use the forward product's codes of X and W, through `train.save`; so does the gradient of a
      learned clip;
    * no two streams of random bits are the same.

    *Living example:* test/Quantize/verify-quantized.mlir and verify-quantized-errors.mlir.
  }];
}

def PrintPrecisionTable : Pass<"print-precision-table", "::mlir::ModuleOp"> {
  let summary = "Prints what each layer's three products run in, and what lives from forward into backward";
  let description = [{
    Read off the IR (Quantize/PrecisionTable.h and Quantize/SavedBytes.h), to standard output. *Living example:*
    test/Quantize/precision-table.mlir.
  }];
}
#endif
