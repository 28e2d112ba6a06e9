//===- Numerics.h - All of it -------------------------------------*- C++ -*-===//

#ifndef NIBBLE_NUMERICS_NUMERICS_H
#define NIBBLE_NUMERICS_NUMERICS_H

#include "nibble/Numerics/BatchNorm.h"
#include "nibble/Numerics/Clip.h"
#include "nibble/Numerics/Int4.h"
#include "nibble/Numerics/Log4.h"
#include "nibble/Numerics/Loss.h"
#include "nibble/Numerics/Math.h"
#include "nibble/Numerics/Ops.h"
#include "nibble/Numerics/Optimizer.h"
#include "nibble/Numerics/Packing.h"
#include "nibble/Numerics/Random.h"
#include "nibble/Numerics/Reduce.h"
#include "nibble/Numerics/Rounding.h"
#include "nibble/Numerics/Scale.h"
#include "nibble/Numerics/Schedule.h"

#endif // NIBBLE_NUMERICS_NUMERICS_H
