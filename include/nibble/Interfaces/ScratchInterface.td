//===- ScratchInterface.td - what memory an op's code needs for itself ---------===//
#ifndef NIBBLE_INTERFACES_SCRATCHINTERFACE_TD
#define NIBBLE_INTERFACES_SCRATCHINTERFACE_TD

include "mlir/IR/OpBase.td"

def ScratchOpInterface : OpInterface<"ScratchOpInterface"> {
  let cppNamespace = "::nibble";
  let description = [{
    Schedule plans memory before Codegen emits code; this interface is how an op's emitter says beforehand what it
    needs. Codegen attaches it (an external model), since only it knows its loops.
  }];
  let methods = [
    InterfaceMethod<"Bytes of scratch that the op's code needs (0: none), for any number of threads.", "int64_t",
                    "getScratchBytes">
  ];
}
#endif
