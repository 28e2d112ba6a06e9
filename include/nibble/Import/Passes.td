//===- Passes.td - passes of room 1 ---------------------------*- tablegen -*-===//
#ifndef NIBBLE_IMPORT_PASSES_TD
#define NIBBLE_IMPORT_PASSES_TD
include "mlir/Pass/PassBase.td"

def SinkTransposes : Pass<"nn-sink-transposes", "::mlir::func::FuncOp"> {
  let summary = "Moves layout changes down until they cancel, so that feature maps end up channels-last";
  let description = [{
    The importer brackets each channels-last op (convolution, pooling, batch norm) with a transpose from ONNX's (N, C, H, W) and
    one back. This pass moves the one back down through everything that does not care about the order of
    dimensions, until it meets the next one's transpose and both vanish. What is left are transposes at the graph's
    input, at its output, and where dimensions are flattened.

    Strategy: greedy patterns, each of which moves one transpose from operand to result of one op and
    renames that op's axes:
    - element-wise ops of one operand, and dropout: nothing to rename;
    - element-wise ops of two operands, where the other operand is transposed alike, or is a constant or a weight that
      broadcasts (it is reshaped to the other order, which for a vector along one dimension moves nothing);
    - reductions, concatenations, slices and their adjoints: axes, starts and steps renamed;
    - transposes that only move dimensions of 1 become reshapes (nn's own canonicalization).

    Before: any module of room 1. After: the same function of its inputs, with the same rounding except that sums of
    `nn.reduce_sum` and `nn.reduce_mean` run in the order of the new layout. A transpose never moves past an op that would need
    one on a full-size operand that has none, so no pattern adds transposes, and the pass ends.

    Example (test/Import/sink-transposes.mlir):
    ```mlir
    %0 = nn.transpose %a {perm = array<i64: 0, 3, 1, 2>} : (tensor<2x5x5x8xf32>) -> tensor<2x8x5x5xf32>
    %1 = nn.relu %0 : tensor<2x8x5x5xf32>
    %2 = nn.transpose %1 {perm = array<i64: 0, 2, 3, 1>} : (tensor<2x8x5x5xf32>) -> tensor<2x5x5x8xf32>
    // becomes
    %2 = nn.relu %a : tensor<2x5x5x8xf32>
    ```
  }];
  let dependentDialects = ["::nibble::nn::NNDialect"];
}

def RecognizeNorms : Pass<"nn-recognize-norms", "::mlir::func::FuncOp"> {
  let summary = "Makes one op of a layer normalization that the file spells out";
  let description = [{
    Exporters before opset 17 write layer normalization as means, squares and a quotient, and most write root mean square
    normalization so. As one op it has two passes a row, a gradient of its own, and keeps its input and two numbers a row for the
    backward part, where the spelled-out form keeps every step.

    Strategy: greedy patterns. d/√(mean(d·d) + ε), or d times the reciprocal of the root, means over the last dimension:
    - with d = x − mean(x) it is `nn.layer_norm` of x,
    - with any other d it is `nn.layer_norm` of d with `rms`,
    both with a scale of ones; a vector that the result alone is multiplied with becomes the scale, then one that is added
    the shift.

    Before: room 1 after CSE, so that the d's are one value. After: the same function in real numbers; rounding is that of
    `nn.layer_norm`. Sums over other dimensions, and variances that are computed otherwise, stay as they are.

    Example (test/Import/recognize-norms.mlir):
    ```mlir
    %m = nn.reduce_mean %x {axes = array<i64: 2>} : (tensor<2x3x8xf32>) -> tensor<2x3x1xf32>
    %d = nn.sub %x, %m : (tensor<2x3x8xf32>, tensor<2x3x1xf32>) -> tensor<2x3x8xf32>
    %s = nn.mul %d, %d : (tensor<2x3x8xf32>, tensor<2x3x8xf32>) -> tensor<2x3x8xf32>
    %v = nn.reduce_mean %s {axes = array<i64: 2>} : (tensor<2x3x8xf32>) -> tensor<2x3x1xf32>
    %e = nn.add %v, %eps : (tensor<2x3x1xf32>, tensor<f32>) -> tensor<2x3x1xf32>
    %r = nn.sqrt %e : (tensor<2x3x1xf32>) -> tensor<2x3x1xf32>
    %n = nn.div %d, %r : (tensor<2x3x8xf32>, tensor<2x3x1xf32>) -> tensor<2x3x8xf32>
    %a = nn.mul %n, %scale : (tensor<2x3x8xf32>, tensor<8xf32>) -> tensor<2x3x8xf32>
    %y = nn.add %a, %shift : (tensor<2x3x8xf32>, tensor<8xf32>) -> tensor<2x3x8xf32>
    // becomes
    %y, %mean, %rstd = nn.layer_norm %x, %scale, %shift {...} : (...) -> (tensor<2x3x8xf32>, tensor<6xf32>, tensor<6xf32>)
    ```
  }];
  let dependentDialects = ["::nibble::nn::NNDialect", "::mlir::arith::ArithDialect"];
}

def VerifyGraph : Pass<"verify-graph", "::mlir::ModuleOp"> {
  let summary = "The door of room 1: what every graph that leaves it promises";
  let description = [{
    Reads only. An error names the room, the op, and what was expected of it:
    - the module holds `train.variable`s and one function, `@forward`, of one block;
    - `@forward` has floating inputs with their ONNX names (`nn.name`) and one output with its name;
    - inside are only `nn` ops of the forward pass, `train.read`, `arith.constant` and the return: no gradient op, no
      stand-in of a node that was not imported;
    - every contraction names its layer, and no two layers have one name;
    - every op's location names its ONNX node;
    - the module says `nibble.loss`, and for cross-entropy the output is [batch, `nibble.classes`].
    The shapes are static by the types of `nn`.
  }];
}
#endif
