//===- CheckpointText.h - Parts of a checkpoint as text -----------*- C++ -*-===//
//
// JSON in which every double and float comes back with its bits; NaN and the infinities are the
// strings "nan", "inf" and "-inf". Readers return false on anything that a writer did not write.
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_LIB_RUNTIME_CHECKPOINTTEXT_H
#define NIBBLE_LIB_RUNTIME_CHECKPOINTTEXT_H

#include "nibble/Runtime/Checkpoint.h"

#include <string>

namespace nibble::runtime::text {

std::string toText(const RunProgress &progress);
std::string toText(const Normalization &normalization);
bool fromText(const std::string &text, RunProgress &progress);
bool fromText(const std::string &text, Normalization &normalization);

/// `text` itself where it is UTF-8; else with its bytes from 0x80 as %HH. Names come from ONNX
/// files and may be anything.
std::string utf8(const std::string &text);

} // namespace nibble::runtime::text

#endif // NIBBLE_LIB_RUNTIME_CHECKPOINTTEXT_H
