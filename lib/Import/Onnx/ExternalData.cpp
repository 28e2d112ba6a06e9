//===- ExternalData.cpp - weights that lie beside the model ------------------===//
//
// A location is a relative path that stays beneath the model's folder; the canonical path decides,
// so that a symbolic link cannot lead out of it either. Offsets and lengths are checked against the
// file before anything is allocated. The whole of a model's external data is at most 8 GiB.
//
//===----------------------------------------------------------------------===//
#include "Decode.h"

#include <charconv>
#include <filesystem>
#include <fstream>
#include <stdexcept>

using namespace nibble::importer;
namespace fs = std::filesystem;

static constexpr uint64_t kMaxExternalBytes = uint64_t(8) << 30;

namespace {
struct Place {
  std::string location;
  uint64_t offset = 0, length = 0;
  bool hasLength = false;
};
} // namespace

static uint64_t parseNumber(const onnx::TensorProto &tensor, const std::string &key,
                            const std::string &text) {
  uint64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size())
    throw std::runtime_error("external data of '" + tensor.name() + "': " + key + " is '" + text +
                             "', not a number");
  return value;
}

static Place placeOf(const onnx::TensorProto &tensor) {
  Place place;
  for (const auto &entry : tensor.external_data()) {
    if (entry.key() == "location")
      place.location = entry.value();
    else if (entry.key() == "offset")
      place.offset = parseNumber(tensor, "offset", entry.value());
    else if (entry.key() == "length") {
      place.length = parseNumber(tensor, "length", entry.value());
      place.hasLength = true;
    }
  }
  if (place.location.empty())
    throw std::runtime_error("external data of '" + tensor.name() + "' has no location");
  return place;
}

/// The canonical path of a location, or an error where it is not a regular file beneath `folder`.
static fs::path resolve(const onnx::TensorProto &tensor, const std::string &location,
                        const fs::path &folder) {
  auto fail = [&](const std::string &what) -> fs::path {
    throw std::runtime_error("external data of '" + tensor.name() + "': '" + location + "' " +
                             what);
  };
  fs::path relative(location);
  if (relative.is_absolute() || location.find('\0') != std::string::npos)
    return fail("is not a path relative to the model");
  for (const auto &part : relative)
    if (part == "..")
      return fail("leads out of the model's folder");
  std::error_code error;
  fs::path base = fs::canonical(folder, error), path = fs::canonical(base / relative, error);
  if (error || !fs::is_regular_file(path, error))
    return fail("is missing beside the model (copy the data file along with the .onnx file)");
  auto escapes = path.lexically_relative(base);
  if (escapes.empty() || *escapes.begin() == "..")
    return fail("leads out of the model's folder");
  return path;
}

static void readTensor(onnx::TensorProto &tensor, const fs::path &folder, uint64_t &total) {
  Place place = placeOf(tensor);
  fs::path path = resolve(tensor, place.location, folder);
  std::vector<int64_t> shape(tensor.dims().begin(), tensor.dims().end());
  int64_t count = countElements(shape);
  if (count < 0 || tensorBytes(tensor.data_type(), 2) == 0)
    throw std::runtime_error("external data of '" + tensor.name() + "': cannot read " +
                             typeName(static_cast<DataType>(tensor.data_type())) + " of shape " +
                             shapeText(shape));
  auto bytes = static_cast<uint64_t>(tensorBytes(tensor.data_type(), count));
  uint64_t have = fs::file_size(path);
  if (place.hasLength && place.length != bytes)
    throw std::runtime_error("external data of '" + tensor.name() + "': length " +
                             std::to_string(place.length) + " where shape " + shapeText(shape) +
                             " takes " + std::to_string(bytes) + " bytes");
  if (place.offset > have || bytes > have - place.offset)
    throw std::runtime_error("external data of '" + tensor.name() + "': " + std::to_string(bytes) +
                             " bytes from " + std::to_string(place.offset) +
                             " on lie beyond the end of '" + place.location + "' (" +
                             std::to_string(have) + " bytes: truncated?)");
  total += bytes;
  if (total > kMaxExternalBytes)
    throw std::runtime_error("the external data of this model exceeds 8 GiB");
  std::string raw(bytes, '\0');
  std::ifstream file(path, std::ios::binary);
  file.seekg(static_cast<std::streamoff>(place.offset));
  if (!file.read(raw.data(), static_cast<std::streamsize>(bytes)))
    throw std::runtime_error("external data of '" + tensor.name() + "': cannot read '" +
                             place.location + "'");
  tensor.clear_external_data();
  tensor.clear_data_location();
  tensor.set_raw_data(std::move(raw));
}

void nibble::importer::readExternalData(onnx::ModelProto &model, const std::string &folder) {
  uint64_t total = 0;
  for (auto &tensor : *model.mutable_graph()->mutable_initializer())
    if (tensor.data_location() == onnx::TensorProto::EXTERNAL)
      readTensor(tensor, folder.empty() ? "." : folder, total);
}

void nibble::importer::moveToExternalData(onnx::ModelProto &model, const std::string &location,
                                          std::string &data) {
  static constexpr size_t kAlignment = 64, kLeast = 1024; // small tensors stay: shapes, bounds
  for (auto &tensor : *model.mutable_graph()->mutable_initializer()) {
    if (!tensor.has_raw_data() || tensor.raw_data().size() < kLeast)
      continue;
    data.resize((data.size() + kAlignment - 1) / kAlignment * kAlignment);
    auto set = [&](const char *key, const std::string &value) {
      auto *entry = tensor.add_external_data();
      entry->set_key(key);
      entry->set_value(value);
    };
    set("location", location);
    set("offset", std::to_string(data.size()));
    set("length", std::to_string(tensor.raw_data().size()));
    data += tensor.raw_data();
    tensor.clear_raw_data();
    tensor.set_data_location(onnx::TensorProto::EXTERNAL);
  }
}
