//===- Passes.td - room 4: order, fusion groups, one arena ----*- tablegen -*-===//
#ifndef NIBBLE_SCHEDULE_PASSES_TD
#define NIBBLE_SCHEDULE_PASSES_TD
include "mlir/Pass/PassBase.td"

def PrepareSchedule : Pass<"prepare-schedule", "::mlir::ModuleOp"> {
  let summary = "Spells out what fused loops cannot see, and moves updates behind the guard";
  let description = [{
    A fused group walks one flat index. An element-wise operand may be full-size, rank 0, or repeat with a period (its shape,
    leading ones dropped, is a suffix of the iteration's shape). Any other broadcast becomes an `nn.broadcast` first. A
    constant that is no splat, or that a group other than an element-wise one reads, becomes a `train.variable` of
    role `constant`: then every group reads constants as it reads everything else.

    The transpose of a matrix product (the weight gradient of a layer whose weights are stored output by input) becomes the product
    with its operands exchanged: Bᵀ·Aᵀ has the same terms in the same order, so not a bit changes.

    Ops whose results only `train.write`s behind the guard read move behind it: nothing may be written before, and what is
    computed behind can be written where it belongs.

    Before: a quantized graph. After: operands of element-wise ops are of the three kinds above; constants are splats.

    ```mlir
    %y = nn.mul %x, %rows : (tensor<4x3xf32>, tensor<4x1xf32>) -> tensor<4x3xf32>
    // becomes
    %b = nn.broadcast %rows : (tensor<4x1xf32>) -> tensor<4x3xf32>
    %y = nn.mul %x, %b : (tensor<4x3xf32>, tensor<4x3xf32>) -> tensor<4x3xf32>
    ```
  }];
  let dependentDialects = ["::nibble::nn::NNDialect", "::nibble::train::TrainDialect"];
}

def SharePanels : Pass<"share-panels", "::mlir::func::FuncOp"> {
  let summary = "Lays an operand out once for all products that read it in the same form";
  let description = [{
    The code of a product first lays its right operand (weights) out for the processor. A product of few rows spends most of its time on
    that, and a recurrent layer has one of them every step of the sequence, with the same weights. So products that read
    the same right operand (and zero point) in the same form, as Codegen says (PanelOpInterface), get one `plan.pack` before the first of them,
    and each reads it through a `plan.packed`. From there on the panel is a value like others: `form-groups` makes its maker a
    group, `plan-memory` gives it a place from the first product to the last, the door watches over its bytes. A product that is alone
    with its form keeps its panel in its scratch.

    Before: a prepared graph. After: the same, with panels.

    ```mlir
    %y0 = q4.matmul %h0, %w scales(%a, %b) {transpose_b} : …
    %y1 = q4.matmul %h1, %w scales(%c, %b) {transpose_b} : …
    // becomes
    %p = plan.pack %w for "lstm/recurrent" : … { q4.matmul … }
    %w0 = plan.packed %p : …
    %y0 = q4.matmul %h0, %w0 scales(%a, %b) {transpose_b} : …
    %w1 = plan.packed %p : …
    %y1 = q4.matmul %h1, %w1 scales(%c, %b) {transpose_b} : …
    ```
  }];
  let dependentDialects = ["::nibble::plan::PlanDialect"];
}

def FormGroups : Pass<"form-groups", "::mlir::func::FuncOp"> {
  let summary = "Gathers ops into the pieces that become one loop nest each";
  let description = [{
    Strategy: in program order, an element-wise op joins the group of a producer, or of a sibling that reads one of its full-size
    operands, when both walk the same number of elements, stand on the same side of the `train.guard`, and joining makes
    no cycle: no operand of the op depends on the group except directly. An op that reads a narrow code (`q4.widen`) and makes something wider
    stays out of the group that makes the code, which would keep the wider one. Two groups that meet in an op, each with an operand of it, become one
    where no third group needs the first and is needed by the second. A fold whose order does not matter (a maximum, a flag,
    counts) rides in the loop of what makes or reads its operand; so do sums per channel, three at most and over one shape, where
    the channels are a multiple of 32. `train.random_bits` goes to the one group whose element-wise ops
    read it, which makes the bits in registers; read by several, it is a group. Ops that only move elements, whole blocks of 32 of them
    (`nn.transpose`, `nn.slice`, `nn.broadcast`, `nn.concat`; Analysis/StridedView.h), are copied to the loops that read them, which find each block
    where it lies. Every other op is a group of its own; one that
    hardly ever reads its tensor (`q4.init_clip`, `q4.frozen_range`) has a copy of the ops that make it. A product of codes whose result only one
    element-wise group reads joins that group, where the result is 8 MB or more and its rows are whole blocks of 32; weight gradients and stacks
    of matrices do not. Then what cheap ops make is
    computed again by each group that reads it, where that moves fewer bytes than to store it (docs/rationale/plan-groups.md). Groups are
    then ordered by their last op's place in the program, as far as dependences allow. `train.save` has told what it had to
    (the sum goes to the attribute `nibble.saved_bytes`) and disappears.

    Before: `prepare-schedule`. After: a sequence of `plan.fused`, with reads, reports, guard and writes between them.
  }];
  let dependentDialects = ["::nibble::plan::PlanDialect"];
}

def PlanMemory : Pass<"plan-memory", "::mlir::ModuleOp"> {
  let summary = "Gives every tensor a place in the state, the arena, or the caller's buffers";
  let description = [{
    Each `train.variable` gets a 128-byte aligned offset in the state. A value that a group makes lives from that group
    to its last reader; places in the arena are chosen largest first, each at the lowest offset that is free for its whole life
    (the greedy-by-size strategy of Pisarchyk and Lee, 2020). A value that is written to a variable is made in the variable's
    own place where nobody reads the old value any more; else a copy follows. An element-wise group writes over an input that
    dies there, element for element. Reshapes are other views of the same place.

    After: functions of (state, arena, batch…, scalars…, report, outputs…) returning a status, bodies of `plan.group` on
    `memref.view`s. Module attributes: `nibble.state_bytes`, `nibble.state_layout`, and, on each function, `nibble.arena_bytes`,
    `nibble.report_keys`.
  }];
  let dependentDialects = ["::nibble::plan::PlanDialect", "::mlir::memref::MemRefDialect", "::mlir::arith::ArithDialect"];
}

def VerifyPlanned : Pass<"verify-planned", "::mlir::ModuleOp"> {
  let summary = "The door of room 4: nothing is read after something else was written over it";
  let description = [{
    Replays each function on a map of the arena, knowing nothing of how places were chosen: every byte that a group reads
    was last written as part of the very value it means to read; scratch overlaps neither input nor output; no offset leaves its
    buffer.
  }];
}
#endif
