//===- LoadData.cpp - Finds out what a path holds ------------------------------------===//

#include "Support.h"
#include "nibble/Runtime/DataSet.h"

#include <algorithm>
#include <filesystem>

using namespace nibble;
using namespace nibble::runtime;

namespace fs = std::filesystem;

static constexpr const char *expectation =
    "expected a folder with IDX files (train-images-idx3-ubyte[.gz] …), a folder with CIFAR-10 "
    "files "
    "(data_batch*.bin, test_batch*.bin), or a file .npz with x and y, or .csv";

/// Up to ten names of what is in a folder.
static std::string listNames(const std::vector<std::string> &names) {
  if (names.empty())
    return "nothing";
  std::string text;
  for (size_t i = 0; i < names.size() && i < 10; ++i)
    text += (i ? ", " : "") + names[i];
  return names.size() > 10 ? text + " and " + std::to_string(names.size() - 10) + " more" : text;
}

static Result<DataPair> loadFolder(const std::string &folder) {
  std::vector<std::string> names;
  for (const fs::directory_entry &entry : fs::directory_iterator(folder))
    names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  bool idx = false, cifar = false;
  for (const std::string &name : names) {
    idx |= name.find("images") != std::string::npos && name.find("idx") != std::string::npos;
    cifar |= name.ends_with(".bin") &&
             (name.starts_with("data_batch") || name.starts_with("test_batch"));
  }
  if (idx && cifar)
    return fileError(folder, "holds IDX and CIFAR-10 files; give each a folder of its own");
  if (idx)
    return readIdxFolder(folder);
  if (cifar)
    return readCifarFolder(folder);
  return fileError(folder, std::string("no data that can be read; ") + expectation + "; found " +
                               listNames(names));
}

/// The labels beside an IDX images file: the same name with "labels" and "idx1".
static Result<DataPair> loadIdxFile(const std::string &file) {
  fs::path path(file);
  std::string name = path.filename().string();
  name.replace(name.find("images"), 6, "labels");
  if (size_t at = name.find("idx3"); at != std::string::npos)
    name.replace(at, 4, "idx1");
  std::string labels = (path.parent_path() / name).string();
  if (!fs::exists(labels))
    return fileError(file, "its labels are missing: expected " + labels);
  Result<DataSet> set = readIdxFiles(file, labels);
  if (!set)
    return set.status();
  DataPair pair;
  pair.train = std::move(*set);
  return pair;
}

static Result<DataPair> onlyTraining(Result<DataSet> set) {
  if (!set)
    return set.status();
  DataPair pair;
  pair.train = std::move(*set);
  return pair;
}

static Result<DataPair> loadFile(const std::string &file, const std::string &labelColumns) {
  std::string name = fs::path(file).filename().string();
  if (name.ends_with(".csv") || name.ends_with(".tsv"))
    return onlyTraining(readCsv(file, labelColumns));
  if (name.ends_with(".npz"))
    return readNpz(file);
  if (name.find("images") != std::string::npos && name.find("idx") != std::string::npos)
    return loadIdxFile(file);
  if (name.ends_with(".bin")) {
    Result<DataSet> set = readCifarFiles({file});
    if (!set)
      return set.status();
    DataPair pair;
    pair.train = std::move(*set);
    return pair;
  }
  return fileError(file, std::string("not a kind of data that can be read; ") + expectation);
}

Result<DataPair> nibble::runtime::loadData(const std::string &path,
                                           const std::string &labelColumns) {
  return guarded(path, [&]() -> Result<DataPair> {
    if (path.empty())
      return Status::error(std::string("no data given; ") + expectation);
    std::error_code problem;
    fs::file_status status = fs::status(path, problem);
    if (!fs::exists(status))
      return fileError(path, std::string("no such file or folder; ") + expectation);
    return fs::is_directory(status) ? loadFolder(path) : loadFile(path, labelColumns);
  });
}

Result<DataPair> nibble::runtime::loadData(const std::string &dataPath,
                                           const std::string &validationPath,
                                           const std::string &labelColumns) {
  Result<DataPair> data = loadData(dataPath, labelColumns);
  if (!data || validationPath.empty())
    return data;
  Result<DataPair> other = loadData(validationPath, labelColumns);
  if (!other)
    return other;
  data->validation = other->validation ? std::move(other->validation) : std::move(other->train);
  if (data->train && data->validation && data->train->classNames != data->validation->classNames)
    return fileError(validationPath, "its labels are other words than those of " + dataPath +
                                         ", so their numbers would not mean the same; write numbers");
  return data;
}
