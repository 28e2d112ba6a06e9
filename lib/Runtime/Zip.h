//===- Zip.h - Entries of a zip archive --------------------------*- C++ -*-===//
//
// Just enough of PKWARE's APPNOTE 6.3 for `.npz`: stored and deflated entries, zip64 sizes and
// offsets, checked CRCs. No encryption, no spanned archives.
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_LIB_RUNTIME_ZIP_H
#define NIBBLE_LIB_RUNTIME_ZIP_H

#include "Support.h"

#include <memory>

namespace nibble::runtime {

struct ZipEntry {
  std::string name;
  uint16_t method = 0;
  uint32_t crc = 0;
  uint64_t compressedSize = 0;
  uint64_t size = 0;
  /// Of the local header, from the start of the file.
  uint64_t offset = 0;
};

/// The archive's directory; sizes and places are checked against the file.
Result<std::vector<ZipEntry>> readZipDirectory(const std::string &path);

/// Opens one entry for reading in order.
Result<std::unique_ptr<ByteReader>> openZipEntry(const std::string &path, const ZipEntry &entry);

} // namespace nibble::runtime

#endif // NIBBLE_LIB_RUNTIME_ZIP_H
