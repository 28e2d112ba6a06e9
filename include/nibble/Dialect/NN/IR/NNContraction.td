//===- NNContraction.td - matrix products and convolutions ----*- tablegen -*-===//
#ifndef NIBBLE_DIALECT_NN_IR_NNCONTRACTION_TD
#define NIBBLE_DIALECT_NN_IR_NNCONTRACTION_TD
include "nibble/Dialect/NN/IR/NNAttrs.td"

class NN_Contraction<string mnemonic> : NN_Op<mnemonic, [DeclareOpInterfaceMethods<ContractionOpInterface,
    ["getContractionLength", "getMultiplyAdds"]>]> {
  dag tags = (ins DefaultValuedAttr<StrAttr, "\"\"">:$layer,
      DefaultValuedAttr<NN_ProductAttr, "::nibble::Product::Forward">:$product,
      DefaultValuedAttr<NN_PrecisionAttr, "::nibble::Precision::Unassigned">:$precision,
      DefaultValuedAttr<StrAttr, "\"\"">:$reason);
  let hasVerifier = 1;
}

def NN_MatMulOp : NN_Contraction<"matmul"> {
  let summary = "Matrix product of two matrices, or of each pair of two stacks of matrices";
  let description = [{
    `result[m, n] = sum over k of a[m, k] · b[k, n]`, where `transpose_a` says that `a` is stored (k, m) and
    `transpose_b` that `b` is stored (n, k). In float: one accumulator an output, from +0, k ascending, each term an
    fma (numerics.md, section 5). With rank 3 the first dimension counts matrices, as many in `a` as in `b`, and each
    pair has its product: attention. Leading dimensions of one operand alone are rows: the importer reshapes
    them to rank 2; it repeats a matrix that the other operand has a stack for.
    ```mlir
    %y = nn.matmul %x, %w {layer = "fc1", transpose_b} : (tensor<128x64xf32>, tensor<10x64xf32>) -> tensor<128x10xf32>
    %s = nn.matmul %q, %k {layer = "scores", transpose_b} : (tensor<12x256x64xf32>, tensor<12x256x64xf32>) -> tensor<12x256x256xf32>
    ```
  }];
  let arguments = !con((ins RealTensor:$a, RealTensor:$b, UnitAttr:$transpose_a, UnitAttr:$transpose_b), tags);
  let results = (outs RealTensor:$result);
}

class NN_Conv<string mnemonic> : NN_Contraction<mnemonic> {
  dag window = (ins DenseI64ArrayAttr:$strides, DenseI64ArrayAttr:$pads, DenseI64ArrayAttr:$dilations,
      DefaultValuedAttr<I64Attr, "1">:$groups);
}

def NN_Conv2DOp : NN_Conv<"conv2d"> {
  let summary = "2-d convolution, channels-last";
  let description = [{
    x: N×H×W×C, w: O×KH×KW×(C/groups), result: N×OH×OW×O. `strides` = [h, w], `pads` = [top, left, bottom, right],
    `dilations` = [h, w]. Terms in the order kh, kw, channel; taps outside the image are no terms.
    OH = (H + top + bottom − dilation·(KH − 1) − 1) / stride + 1, and so for OW. No bias: that is an `nn.add`.
  }];
  let arguments = !con((ins RealTensor:$x, RealTensor:$w), window, tags);
  let results = (outs RealTensor:$result);
}

def NN_Conv2DInputGradOp : NN_Conv<"conv2d_input_grad"> {
  let summary = "Gradient of a convolution with respect to its input";
  let description = [{
    dy: N×OH×OW×O, w: O×KH×KW×(C/groups), result dx: N×H×W×C. Terms in the order kh, kw, output channel.
    As a forward product it is ONNX's ConvTranspose: dy is the layer's input.
  }];
  let arguments = !con((ins RealTensor:$dy, RealTensor:$w), window, tags);
  let results = (outs RealTensor:$result);
}

def NN_Conv2DWeightGradOp : NN_Conv<"conv2d_weight_grad"> {
  let summary = "Gradient of a convolution with respect to its weights";
  let description = [{
    x: N×H×W×C, dy: N×OH×OW×O, result dw: O×KH×KW×(C/groups). Terms in the order image, row, column.
  }];
  let arguments = !con((ins RealTensor:$x, RealTensor:$dy), window, tags);
  let results = (outs RealTensor:$result);
}
#endif
