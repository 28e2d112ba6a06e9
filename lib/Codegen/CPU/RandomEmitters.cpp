#include "Emitters.h"
using namespace nibble::codegen;
Emitted nibble::codegen::emitRandom(Group &group, Operation *op) { return std::nullopt; }
