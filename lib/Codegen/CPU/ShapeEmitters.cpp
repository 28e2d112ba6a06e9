#include "Emitters.h"
using namespace nibble::codegen;
Emitted nibble::codegen::emitShape(Group &group, Operation *op) { return std::nullopt; }
