//===- RunIdentity.h - What a run is, as far as the trainer knows -*- C++ -*-===//

#ifndef NIBBLE_LIB_RUNTIME_RUNIDENTITY_H
#define NIBBLE_LIB_RUNTIME_RUNIDENTITY_H

#include "nibble/Runtime/Checkpoint.h"
#include "nibble/Runtime/DataSet.h"
#include "nibble/Runtime/TrainOptions.h"

namespace nibble::runtime {

/// Appends seed, data (sizes, shapes, a hash of every sample and answer) and normalization: what
/// must be equal for a run to go on bit for bit.
void addDataFields(RunFields &fields, const DataPair &data, const Normalization &normalization,
                   uint64_t seed);

/// Learning rate, schedule and epochs: they may change, and then the run is another one.
RunFields loopOptions(const TrainOptions &options);

} // namespace nibble::runtime

#endif // NIBBLE_LIB_RUNTIME_RUNIDENTITY_H
