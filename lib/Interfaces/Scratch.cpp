//===- Scratch.cpp - definition of the scratch interface --------------------===//
#include "nibble/Interfaces/Scratch.h"

#include "nibble/Interfaces/ScratchInterface.cpp.inc"
