//===- LibraryState.cpp - the head of a file of the state ------------------------===//
//
// A safetensors file: eight bytes of length, JSON, then the tensors' bytes one behind the other. A library knows its JSON when it is
// compiled, down to the places of the three numbers that change, so its runtime neither writes nor parses JSON.
//
//===----------------------------------------------------------------------===//
#include "nibble/Target/Library.h"

#include "llvm/Support/Endian.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/raw_ostream.h"

using namespace nibble;

static std::string quoted(llvm::StringRef text) {
  std::string result;
  llvm::raw_string_ostream(result) << llvm::json::Value(llvm::json::fixUTF8(text));
  return result;
}

/// safetensors' name of a type.
static std::string typeName(llvm::StringRef type) {
  static const std::pair<const char *, const char *> names[] = {{"float32", "F32"}, {"float64", "F64"}, {"int32", "I32"}, {"int64", "I64"},
                                                                {"int8", "I8"},     {"uint8", "U8"},    {"bool", "BOOL"}};
  for (auto [ours, theirs] : names)
    if (type == ours)
      return theirs;
  return "U8";
}

static std::string describe(const LibraryTensor &tensor, int64_t from) {
  std::string text = quoted(tensor.name) + ":{\"dtype\":\"" + typeName(tensor.type) + "\",\"shape\":[";
  for (size_t i = 0; i < tensor.shape.size(); ++i)
    text += (i ? "," : "") + std::to_string(tensor.shape[i]);
  return text + "],\"data_offsets\":[" + std::to_string(from) + "," + std::to_string(from + tensor.bytes) + "]}";
}

StateHeader nibble::stateHeader(const LibraryModel &model) {
  StateHeader header;
  std::string text(8, '\0'); // the length of what follows, at the end
  text += "{\"__metadata__\":{\"format\":\"nibble-state\",";
  header.formatPrefix = text.size();
  text += "\"version\":\"1\",";
  header.versionPrefix = text.size();
  auto digits = [&](const char *key, size_t count) {
    text += std::string("\"") + key + "\":\"";
    size_t at = text.size();
    text += std::string(count, '0') + "\",";
    return at;
  };
  header.crcAt = digits("crc32", 8);
  header.stepAt = digits("step", 20);
  header.seedAt = digits("seed", 20);
  text += "\"model\":" + quoted(model.name) + ",\"recipe\":" + quoted(model.recipe) + ",\"optimizer\":" + quoted(model.optimizer) + "}";
  int64_t at = 0;
  for (const LibraryTensor &tensor : model.state) {
    text += "," + describe(tensor, at);
    at += tensor.bytes;
  }
  text += "}";
  text.resize((text.size() + 7) / 8 * 8, ' '); // tensors begin aligned
  llvm::support::endian::write64le(text.data(), text.size() - 8);
  header.text = std::move(text);
  return header;
}
