//===- Npy.h - NumPy's array files -------------------------------*- C++ -*-===//
//
// Format versions 1 to 3 (numpy.lib.format): magic "\x93NUMPY", version, header length, a Python
// dict with descr, fortran_order and shape, the elements.
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_LIB_RUNTIME_NPY_H
#define NIBBLE_LIB_RUNTIME_NPY_H

#include "Support.h"
#include "nibble/Runtime/Tensor.h"

#include <string_view>

namespace nibble::runtime {

struct NpyHeader {
  DType type = DType::U8;
  bool swapBytes = false;
  bool fortranOrder = false;
  std::vector<int64_t> shape;
};

/// Parses the dict of an .npy header. The error is the reason alone, without a file name.
Result<NpyHeader> parseNpyHeader(std::string_view text);

/// Reads a whole array; the result is row-major and little-endian whatever the file was. (bool
/// becomes u8.)
Result<Tensor> readNpy(ByteReader &reader);

} // namespace nibble::runtime

#endif // NIBBLE_LIB_RUNTIME_NPY_H
