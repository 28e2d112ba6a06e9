//===- Npz.cpp - NumPy archives as data sets -----------------------------------------===//
//
// Training part: x_train and y_train, else x and y. Validation part: x_test and y_test, else x_val
// and y_val. Names may be capitalized. Integer y of shape N or N×1: class indices. Real y: targets,
// and class indices as well where every value is a whole number. Integer y of N×T: targets, and T
// class indices a sample.
//
//===----------------------------------------------------------------------===//

#include "Npy.h"
#include "Zip.h"
#include "nibble/Runtime/DataSet.h"

#include <cctype>
#include <cmath>
#include <limits>

using namespace nibble;
using namespace nibble::runtime;

namespace {

bool isInteger(DType type) { return type < DType::F16; }

std::string lower(std::string text) {
  for (char &c : text)
    c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

/// Any element type to float32; refuses what is not finite, naming the sample.
Result<Tensor> toFloat(const Tensor &from, const std::string &where, const char *key) {
  Tensor to;
  to.type = DType::F32;
  to.shape = from.shape;
  int64_t count = from.size();
  int64_t perSample = from.shape.empty() || from.shape[0] == 0 ? 1 : count / from.shape[0];
  to.bytes.resize(static_cast<size_t>(count) * sizeof(float));
  float *out = to.data<float>();
  for (int64_t i = 0; i < count; ++i) {
    // 64-bit integers are rounded to double first; beyond 2^53 that may round twice.
    out[i] = static_cast<float>(from.at(i));
    if (!std::isfinite(out[i]))
      return fileError(where,
                       std::string(key) + " of sample " + std::to_string(i / perSample) +
                           " is NaN, infinite or beyond float32: " + std::to_string(from.at(i)));
  }
  return to;
}

/// Class indices from whole numbers of any type; `wholeOnly` says whether another number is an
/// error or just means that y holds targets (then the result is empty).
Result<std::vector<int32_t>> toLabels(const Tensor &y, const std::string &where, bool wholeOnly) {
  std::vector<int32_t> labels(static_cast<size_t>(y.size()));
  for (int64_t i = 0; i < y.size(); ++i) {
    double value = y.at(i);
    bool fits = value == std::floor(value) && value >= std::numeric_limits<int32_t>::min() &&
                value <= std::numeric_limits<int32_t>::max();
    if (!fits && !wholeOnly)
      return std::vector<int32_t>();
    if (!fits)
      return fileError(where, "y of sample " + std::to_string(i) + " is " + std::to_string(value) +
                                  ", not a class index");
    labels[static_cast<size_t>(i)] = static_cast<int32_t>(value);
  }
  return labels;
}

Status setTargets(DataSet &set, const Tensor &y) {
  bool oneEach = y.shape.size() == 1 || (y.shape.size() == 2 && y.shape[1] == 1);
  if (oneEach) {
    Result<std::vector<int32_t>> labels = toLabels(y, set.path, isInteger(y.type));
    if (!labels)
      return labels.status();
    set.labels = std::move(*labels);
    if (isInteger(y.type))
      return Status::success();
  }
  if (!oneEach && isInteger(y.type)) {
    Result<std::vector<int32_t>> labels = toLabels(y, set.path, /*wholeOnly=*/false);
    if (!labels)
      return labels.status();
    set.labels = std::move(*labels);
  }
  Result<Tensor> targets = toFloat(y, set.path, "y");
  if (!targets)
    return targets.status();
  set.targets = std::move(*targets);
  return Status::success();
}

Result<DataSet> makeSet(const std::string &file, Tensor x, const Tensor &y,
                        const std::string &keys) {
  DataSet set;
  set.path = file;
  set.origin = DataOrigin::Npz;
  if (x.shape.empty() || y.shape.empty() || x.shape[0] != y.shape[0])
    return fileError(file, keys + " do not match: shapes " + formatShape(x.shape) + " and " +
                               formatShape(y.shape) +
                               "; the same number of samples is needed in front");
  if (x.size() == 0)
    return fileError(file, keys + " hold no data: x has shape " + formatShape(x.shape));
  if (y.size() == 0)
    return fileError(file, keys + " hold no answers: y has shape " + formatShape(y.shape));
  if (Status status = setTargets(set, y); !status)
    return status;
  if (x.type == DType::U8) {
    set.x = std::move(x);
    return set;
  }
  Result<Tensor> floats = toFloat(x, file, "x");
  if (!floats)
    return floats.status();
  set.x = std::move(*floats);
  return set;
}

class Archive {
public:
  Archive(const std::string &path, std::vector<ZipEntry> entries)
      : path(path), entries(std::move(entries)) {}

  /// The part whose arrays end in `suffix` ("_train", "" …); nothing where there is no such x.
  Result<std::optional<DataSet>> part(const std::string &suffix) const {
    const ZipEntry *x = find("x" + suffix), *y = find("y" + suffix);
    if (!x)
      return std::optional<DataSet>();
    if (!y)
      return fileError(path, "has x" + suffix + " but not y" + suffix + "; it holds " + contents());
    Result<Tensor> xArray = read(*x), yArray = xArray ? read(*y) : Result<Tensor>(xArray.status());
    if (!yArray)
      return yArray.status();
    Result<DataSet> set =
        makeSet(path, std::move(*xArray), *yArray, "x" + suffix + " and y" + suffix);
    if (!set)
      return set.status();
    return std::optional<DataSet>(std::move(*set));
  }

  Result<std::optional<DataSet>> firstOf(std::initializer_list<const char *> suffixes) const {
    for (const char *suffix : suffixes) {
      Result<std::optional<DataSet>> found = part(suffix);
      if (!found || *found)
        return found;
    }
    return std::optional<DataSet>();
  }

  std::string contents() const {
    std::string text;
    for (size_t i = 0; i < entries.size() && i < 10; ++i)
      text += (i ? ", " : "") + entries[i].name;
    return entries.empty() ? "nothing" : entries.size() > 10 ? text + ", …" : text;
  }

private:
  const ZipEntry *find(const std::string &key) const {
    for (const ZipEntry &entry : entries)
      if (lower(entry.name) == key + ".npy")
        return &entry;
    return nullptr;
  }
  Result<Tensor> read(const ZipEntry &entry) const {
    Result<std::unique_ptr<ByteReader>> reader = openZipEntry(path, entry);
    return reader ? readNpy(**reader) : Result<Tensor>(reader.status());
  }

  std::string path;
  std::vector<ZipEntry> entries;
};

} // namespace

Result<DataPair> nibble::runtime::readNpz(const std::string &file) {
  return guarded(file, [&]() -> Result<DataPair> {
    Result<std::vector<ZipEntry>> entries = readZipDirectory(file);
    if (!entries)
      return entries.status();
    Archive archive(file, std::move(*entries));
    Result<std::optional<DataSet>> train = archive.firstOf({"_train", ""});
    if (!train)
      return train.status();
    Result<std::optional<DataSet>> validation = archive.firstOf({"_test", "_val"});
    if (!validation)
      return validation.status();
    if (!*train && !*validation)
      return fileError(file,
                       "expected arrays x and y (or x_train, y_train, x_test, y_test); it holds " +
                           archive.contents());
    return DataPair{std::move(*train), std::move(*validation)};
  });
}
