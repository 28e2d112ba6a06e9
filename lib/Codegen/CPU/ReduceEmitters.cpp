#include "Emitters.h"
using namespace nibble::codegen;
Emitted nibble::codegen::emitReduce(Group &group, Operation *op) { return std::nullopt; }
