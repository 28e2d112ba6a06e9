//===- SafeTensors.cpp - Named tensors in a file -------------------------------------------===//

#include "SafeTensors.h"

#include "BoundedJson.h"
#include "Support.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace nibble;
using namespace nibble::runtime;

using Json = nlohmann::json; // not ordered_json, which takes quadratic time for many keys

namespace {

struct TypeName {
  const char *name;
  DType type;
};
constexpr TypeName typeNames[] = {{"U8", DType::U8},   {"I8", DType::I8},   {"U16", DType::U16},
                                  {"I16", DType::I16}, {"U32", DType::U32}, {"I32", DType::I32},
                                  {"U64", DType::U64}, {"I64", DType::I64}, {"F16", DType::F16},
                                  {"F32", DType::F32}, {"F64", DType::F64}};

const char *fileName(DType type) {
  for (const TypeName &entry : typeNames)
    if (entry.type == type)
      return entry.name;
  return "?";
}

constexpr const char *metadataKey = "__metadata__";

} // namespace

//===----------------------------------------------------------------------===//
// Writing
//===----------------------------------------------------------------------===//

void nibble::runtime::sortForFile(std::vector<StateView> &tensors) {
  std::sort(tensors.begin(), tensors.end(), [](const StateView &a, const StateView &b) {
    size_t wide = byteWidth(a.type), narrow = byteWidth(b.type);
    return wide != narrow ? wide > narrow : a.name < b.name;
  });
}

Result<std::string> nibble::runtime::safeTensorsHeader(const Metadata &metadata,
                                                       const std::vector<StateView> &tensors) {
  return guarded("safetensors", [&]() -> Result<std::string> {
    Json json = Json::object();
    if (!metadata.empty())
      json[metadataKey] = metadata;
    uint64_t at = 0;
    for (const StateView &tensor : tensors) {
      if (json.contains(tensor.name))
        return Status::error("internal: two tensors are called '" + tensor.name + "'");
      json[tensor.name] = {{"dtype", fileName(tensor.type)},
                           {"shape", tensor.shape},
                           {"data_offsets", {at, at + tensor.bytes.size()}}};
      at += tensor.bytes.size();
    }
    std::string text = json.dump();
    text.append((8 - text.size() % 8) % 8, ' ');
    if (text.size() > largestSafeTensorsHeader)
      return Status::error("the table of " + std::to_string(tensors.size()) +
                           " tensors is larger than a file may have");
    std::string length(8, '\0');
    for (size_t i = 0; i < 8; ++i)
      length[i] = static_cast<char>(text.size() >> (8 * i));
    return length + text;
  });
}

Status nibble::runtime::writeSafeTensors(const std::string &path, const Metadata &metadata,
                                         const std::vector<StateView> &tensors) {
  Result<std::string> header = safeTensorsHeader(metadata, tensors);
  if (!header)
    return fileError(path, header.message());
  Result<AtomicFile> file = AtomicFile::create(path);
  if (!file)
    return file.status();
  if (Status status = file->write(header->data(), header->size()); !status)
    return status;
  for (const StateView &tensor : tensors)
    if (Status status = file->write(tensor.bytes.data(), tensor.bytes.size()); !status)
      return status;
  return file->commit();
}

//===----------------------------------------------------------------------===//
// Reading
//===----------------------------------------------------------------------===//

namespace {

class FileBytes final : public ByteReader {
public:
  static Result<FileBytes> open(const std::string &path) {
    int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat info{};
    if (file < 0 && errno == ENOENT)
      return fileError(path, "there is no such file");
    if (file < 0 || ::fstat(file, &info) != 0)
      return fileError(path, std::string("cannot be read: ") + std::strerror(errno));
    FileBytes reader(path, file, static_cast<uint64_t>(std::max<off_t>(info.st_size, 0)));
    if (!S_ISREG(info.st_mode)) // a pipe has no size to check claims against
      return fileError(path, "is not a file");
    return reader;
  }
  FileBytes(FileBytes &&other) noexcept
      : path(std::move(other.path)), file(std::exchange(other.file, -1)), size(other.size) {}
  ~FileBytes() override {
    if (file >= 0)
      ::close(file);
  }

  uint64_t largestSize() const override { return size; }
  const std::string &name() const override { return path; }

  Result<size_t> read(void *to, size_t count) override {
    size_t done = 0;
    while (done < count) {
      ssize_t got = ::read(file, static_cast<char *>(to) + done, count - done);
      if (got < 0 && errno == EINTR)
        continue;
      if (got < 0)
        return fileError(path, std::string("cannot be read: ") + std::strerror(errno));
      if (got == 0)
        break;
      done += static_cast<size_t>(got);
    }
    return done;
  }

private:
  FileBytes(std::string path, int file, uint64_t size)
      : path(std::move(path)), file(file), size(size) {}
  std::string path;
  int file;
  uint64_t size;
};

/// A tensor of the table and where its bytes lie.
struct Entry {
  NamedTensor tensor;
  uint64_t begin = 0, end = 0;
};

class HeaderReader {
public:
  HeaderReader(const std::string &path, uint64_t dataBytes) : path(path), dataBytes(dataBytes) {}

  Status read(const std::string &text) {
    // Three levels are all there is: the table, an entry, a list of numbers.
    std::optional<Json> json = parseBounded<Json>(text, 3);
    if (!json || !json->is_object())
      return fileError(path, "is not a safetensors file: its header is not a table in JSON");
    for (const auto &[name, value] : json->items())
      if (Status status = name == metadataKey ? readMetadata(value) : readEntry(name, value);
          !status)
        return status;
    return checkOffsets();
  }

  Metadata metadata;
  std::vector<Entry> entries;

private:
  Status bad(const std::string &name, const std::string &what) const {
    return fileError(path,
                     "is not a safetensors file: tensor '" + name.substr(0, 200) + "' " + what);
  }

  Status readMetadata(const Json &value) {
    if (!value.is_object())
      return bad(metadataKey, "is not a table");
    for (const auto &[key, text] : value.items()) {
      if (!text.is_string())
        return bad(metadataKey, "holds something else than text");
      metadata[key] = text.get<std::string>();
    }
    return Status::success();
  }

  static bool readNumbers(const Json &value, std::vector<int64_t> &to) {
    if (!value.is_array())
      return false;
    for (const Json &number : value) {
      if (!number.is_number_unsigned() || number.get<uint64_t>() > uint64_t(1) << 62)
        return false;
      to.push_back(number.get<int64_t>());
    }
    return true;
  }

  Status readEntry(const std::string &name, const Json &value) {
    if (!value.is_object() || !value.contains("dtype") || !value.contains("shape") ||
        !value.contains("data_offsets") || !value["dtype"].is_string())
      return bad(name, "lacks dtype, shape or data_offsets");
    Entry entry;
    entry.tensor.name = name;
    Tensor &tensor = entry.tensor.tensor;
    std::string type = value["dtype"].get<std::string>();
    auto known = std::find_if(std::begin(typeNames), std::end(typeNames),
                              [&](const TypeName &t) { return type == t.name; });
    if (known == std::end(typeNames))
      return bad(name, "has elements of the unknown type '" + type.substr(0, 40) + "'");
    tensor.type = known->type;
    std::vector<int64_t> offsets;
    if (!readNumbers(value["shape"], tensor.shape) ||
        !readNumbers(value["data_offsets"], offsets) || offsets.size() != 2)
      return bad(name, "has a shape or data_offsets that are not whole numbers from 0");
    Result<int64_t> count = countElements(tensor.shape);
    if (!count)
      return bad(name, "has an impossible shape: " + count.message());
    entry.begin = static_cast<uint64_t>(offsets[0]);
    entry.end = static_cast<uint64_t>(offsets[1]);
    if (entry.begin > entry.end || entry.end > dataBytes)
      return bad(name, "ends at byte " + std::to_string(entry.end) +
                           " of the data, but there are " + std::to_string(dataBytes));
    uint64_t width = byteWidth(tensor.type), bytes = entry.end - entry.begin;
    if (bytes % width != 0 || bytes / width != static_cast<uint64_t>(*count))
      return bad(name, "of shape " + formatShape(tensor.shape) + " has " + std::to_string(bytes) +
                           " bytes of type " + type);
    entries.push_back(std::move(entry));
    return Status::success();
  }

  /// Sorts the entries; together they are the data, without gap or overlap.
  Status checkOffsets() {
    std::stable_sort(entries.begin(), entries.end(), [](const Entry &a, const Entry &b) {
      return a.begin != b.begin ? a.begin < b.begin : a.end < b.end;
    });
    uint64_t at = 0;
    for (const Entry &entry : entries) {
      if (entry.begin != at)
        return bad(entry.tensor.name, "begins at byte " + std::to_string(entry.begin) +
                                          " of the data, expected " + std::to_string(at));
      at = entry.end;
    }
    if (at != dataBytes)
      return fileError(path, "holds " + std::to_string(dataBytes) +
                                 " bytes of data, but its header accounts for " +
                                 std::to_string(at));
    return Status::success();
  }

  const std::string &path;
  uint64_t dataBytes;
};

/// The text of the header.
Result<std::string> readHeaderText(FileBytes &file) {
  unsigned char length[8] = {};
  if (Status status = file.readExactly(length, sizeof length, "header's length"); !status)
    return status;
  uint64_t size = 0;
  for (size_t i = 0; i < 8; ++i)
    size |= uint64_t(length[i]) << (8 * i);
  if (size > largestSafeTensorsHeader || size > file.largestSize() - sizeof length)
    return fileError(file.name(), "is not a safetensors file, or is cut off: its header claims " +
                                      std::to_string(size) + " bytes and the file has " +
                                      std::to_string(file.largestSize()));
  std::string text(static_cast<size_t>(size), '\0');
  if (Status status = file.readExactly(text.data(), text.size(), "header"); !status)
    return status;
  return text;
}

} // namespace

Result<SafeTensors> nibble::runtime::readSafeTensors(const std::string &path,
                                                     SafeTensorsPart part) {
  return guarded(path, [&]() -> Result<SafeTensors> {
    Result<FileBytes> file = FileBytes::open(path);
    if (!file)
      return file.status();
    Result<std::string> text = readHeaderText(*file);
    if (!text)
      return text.status();
    HeaderReader header(path, file->largestSize() - 8 - text->size());
    if (Status status = header.read(*text); !status)
      return status;
    SafeTensors result;
    result.metadata = std::move(header.metadata);
    for (Entry &entry : header.entries) {
      std::vector<std::byte> &bytes = entry.tensor.tensor.bytes;
      if (part == SafeTensorsPart::Everything)
        if (Status status = file->readInto(bytes, entry.end - entry.begin, "tensors"); !status)
          return status;
      result.tensors.push_back(std::move(entry.tensor));
    }
    return result;
  });
}
