#include "Emitters.h"
using namespace nibble::codegen;
Emitted nibble::codegen::emitPool(Group &group, Operation *op) { return std::nullopt; }
