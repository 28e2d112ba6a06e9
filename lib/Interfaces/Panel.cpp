//===- Panel.cpp - definition of the panel interface ------------------------===//
#include "nibble/Interfaces/Panel.h"

#include "nibble/Interfaces/PanelInterface.cpp.inc"
