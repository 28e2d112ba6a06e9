//===- GzipFile.h - A file, compressed or not --------------------*- C++ -*-===//

#ifndef NIBBLE_LIB_RUNTIME_GZIPFILE_H
#define NIBBLE_LIB_RUNTIME_GZIPFILE_H

#include "Support.h"

#include <memory>

namespace nibble::runtime {

/// Opens `path` for reading in order; a gzip file is recognized by its first bytes and checked by
/// its CRC.
Result<std::unique_ptr<ByteReader>> openMaybeGzip(const std::string &path);

} // namespace nibble::runtime

#endif // NIBBLE_LIB_RUNTIME_GZIPFILE_H
