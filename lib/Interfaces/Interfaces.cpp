//===- Interfaces.cpp - definitions of the op interfaces --------------------===//
#include "nibble/Interfaces/Interfaces.h"

#include "nibble/Numerics/Packing.h"

#include "nibble/Interfaces/ContractionEnums.cpp.inc"
#include "nibble/Interfaces/ContractionInterface.cpp.inc"
#include "nibble/Interfaces/Differentiable.cpp.inc"

bool nibble::ridesByChannel(mlir::Operation *op) {
  if (!op->hasTrait<ChannelFoldLike>())
    return false;
  auto type = mlir::cast<mlir::RankedTensorType>(op->getOperand(0).getType());
  return type.getRank() > 0 && type.getShape().back() % numerics::kPackBlock == 0 &&
         type.getNumElements() > type.getShape().back();
}
