//===- Interfaces.cpp - definitions of the op interfaces --------------------===//
#include "nibble/Interfaces/Interfaces.h"

#include "nibble/Interfaces/ContractionEnums.cpp.inc"
#include "nibble/Interfaces/ContractionInterface.cpp.inc"
#include "nibble/Interfaces/Differentiable.cpp.inc"
