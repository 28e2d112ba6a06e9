#include "ContractionPlans.h"
using namespace nibble;
using namespace nibble::contraction;
WindowFloatPlan contraction::planWindowFloat(const Contraction &, const CpuTarget &) { return {}; }
void contraction::emitWindowFloat(Emit &, const Contraction &, const WindowFloatPlan &, const Buffers &) {}
void contraction::emitPixelFloat(Emit &, const Contraction &, const Buffers &) {}
