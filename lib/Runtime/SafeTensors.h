//===- SafeTensors.h - Named tensors in a file --------------------*- C++ -*-===//
//
// The layout of huggingface/safetensors, little-endian:
//   8 bytes   length N of the header
//   N bytes   JSON {"__metadata__": {text: text, …}, NAME: {"dtype": "F32", "shape": [2,3],
//             "data_offsets": [begin, end]}, …}, filled with spaces so that the data begin at a
//             multiple of 8
//   rest      the tensors' bytes, row-major, without gaps; offsets count from here
// Tensors are written in the order of falling element width, then name, so that each is aligned to
// its elements.
//
// A reader of strange files: the header is bounded by the file's size and by largestHeader before
// it is allocated, offsets must cover the data exactly, in any order, without overlap.
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_LIB_RUNTIME_SAFETENSORS_H
#define NIBBLE_LIB_RUNTIME_SAFETENSORS_H

#include "AtomicFile.h"
#include "nibble/Runtime/Checkpoint.h"

#include <map>
#include <span>
#include <string>
#include <vector>

namespace nibble::runtime {

using Metadata = std::map<std::string, std::string>;

struct SafeTensors {
  Metadata metadata;
  /// In the order of the file. Without bytes where only the header was read.
  std::vector<NamedTensor> tensors;
};

/// Headers are refused beyond this many bytes: room for a hundred thousand tensors.
inline constexpr uint64_t largestSafeTensorsHeader = 16u << 20;

/// The order in which tensors lie in a file.
void sortForFile(std::vector<StateView> &tensors);
/// The bytes before the data. `tensors` are sorted. Names that are not UTF-8 are refused.
Result<std::string> safeTensorsHeader(const Metadata &metadata,
                                      const std::vector<StateView> &tensors);
/// Writes `path` atomically. `tensors` are sorted.
Status writeSafeTensors(const std::string &path, const Metadata &metadata,
                        const std::vector<StateView> &tensors);

enum class SafeTensorsPart { HeaderOnly, Everything };
Result<SafeTensors> readSafeTensors(const std::string &path, SafeTensorsPart part);

} // namespace nibble::runtime

#endif // NIBBLE_LIB_RUNTIME_SAFETENSORS_H
