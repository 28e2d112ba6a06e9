//===- CompileCache.h - compiled models, kept between runs ----------*- C++ -*-===//
//
// A folder of artifacts (Artifact.h), each named by a hash of all that went into it: the ONNX file and its external data, every
// option that changes the program, the processor, and the compiler itself. So an entry is never out of date, only unused. Entries
// are written beside their place and renamed; one that is damaged counts as absent. What was used longest ago goes first when
// the folder grows beyond its size.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "nibble/Driver/Compiler.h"

namespace nibble {

/// $XDG_CACHE_HOME/nibble, or ~/.cache/nibble; empty where neither variable is set.
std::string defaultCacheFolder();

class CompileCache {
public:
  /// Files of the folder together, at most; and of one entry.
  static constexpr uint64_t defaultBytes = uint64_t(1) << 30;

  /// Empty `folder`: nothing is found and nothing kept.
  explicit CompileCache(std::string folder, uint64_t bytes = defaultBytes) : folder(std::move(folder)), limit(bytes) {}

  /// The model that these options compile to, if it is there; `key` (empty where the file cannot be read) is for `store`.
  std::unique_ptr<CompiledModel> find(const CompileOptions &options);
  /// Keeps what was compiled after `find` found nothing. A cache that cannot be written is none: no errors.
  void store(CompiledModel &model);

private:
  std::string path() const;
  void makeRoom();

  std::string folder, key, content;
  uint64_t limit;
};

} // namespace nibble
