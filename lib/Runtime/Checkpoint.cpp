//===- Checkpoint.cpp - A run in a file --------------------------------------------------===//

#include "nibble/Runtime/Checkpoint.h"

#include "CheckpointText.h"
#include "Hash.h"
#include "SafeTensors.h"
#include "Support.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <set>

using namespace nibble;
using namespace nibble::runtime;

static constexpr const char *formatName = "nibble-checkpoint";
static constexpr const char *runPrefix = "run.", *optionPrefix = "option.";

std::string nibble::runtime::toolVersion() { return "nibble " NIBBLE_VERSION; }

const std::string *nibble::runtime::findField(const RunFields &fields, const std::string &key) {
  for (const auto &[name, value] : fields)
    if (name == key)
      return &value;
  return nullptr;
}

//===----------------------------------------------------------------------===//
// Writing
//===----------------------------------------------------------------------===//

/// Of everything in the file but itself, whatever the order in which it lies there.
static std::string checksum(const Metadata &metadata, std::vector<StateView> tensors) {
  std::sort(tensors.begin(), tensors.end(),
            [](const StateView &a, const StateView &b) { return a.name < b.name; });
  Hash hash;
  for (const auto &[key, value] : metadata)
    if (key != "checksum") {
      hash.add(key);
      hash.add(value);
    }
  for (const StateView &tensor : tensors) {
    hash.add(tensor.name);
    hash.add(static_cast<uint64_t>(tensor.type));
    hash.add(tensor.shape.size());
    for (int64_t dim : tensor.shape)
      hash.add(static_cast<uint64_t>(dim));
    hash.add(tensor.bytes);
  }
  return hash.text();
}

/// The step's state as a file has it: sorted, names in UTF-8.
static std::vector<StateView> stateForFile(Step &step) {
  std::vector<StateView> tensors = step.state();
  for (StateView &tensor : tensors)
    tensor.name = text::utf8(tensor.name);
  sortForFile(tensors);
  return tensors;
}

Status nibble::runtime::saveCheckpoint(const std::string &path, const Checkpoint &checkpoint,
                                       Step &step) {
  return guarded(path, [&]() -> Status {
    Metadata metadata;
    metadata["format"] = formatName;
    metadata["format_version"] = std::to_string(checkpointFormatVersion);
    metadata["tool"] = checkpoint.tool;
    for (const auto &[key, value] : checkpoint.run)
      metadata[runPrefix + key] = text::utf8(value);
    for (const auto &[key, value] : checkpoint.options)
      metadata[optionPrefix + key] = text::utf8(value);
    metadata["progress"] = text::toText(checkpoint.progress);
    metadata["normalization"] = text::toText(checkpoint.normalization);
    std::vector<StateView> tensors = stateForFile(step);
    metadata["checksum"] = checksum(metadata, tensors);
    return writeSafeTensors(path, metadata, tensors);
  });
}

//===----------------------------------------------------------------------===//
// Reading
//===----------------------------------------------------------------------===//

static Status checkFormat(const std::string &path, const Metadata &metadata) {
  auto format = metadata.find("format"), version = metadata.find("format_version");
  if (format == metadata.end() || format->second != formatName || version == metadata.end())
    return fileError(path, "is a safetensors file, but not a checkpoint of Nibble");
  if (version->second != std::to_string(checkpointFormatVersion))
    return fileError(path, "has checkpoint format " + version->second.substr(0, 20) +
                               "; this version of Nibble reads format " +
                               std::to_string(checkpointFormatVersion));
  for (const char *key : {"tool", "progress", "normalization", "checksum"})
    if (!metadata.count(key))
      return fileError(path, std::string("is a damaged checkpoint: it has no '") + key + "'");
  return Status::success();
}

/// What `file` says, but for the tensors.
static Result<Checkpoint> readMetadata(const std::string &path, const Metadata &metadata) {
  Checkpoint checkpoint;
  checkpoint.path = path;
  checkpoint.tool = metadata.at("tool");
  for (const auto &[key, value] : metadata) {
    if (key.starts_with(runPrefix))
      checkpoint.run.emplace_back(key.substr(std::strlen(runPrefix)), value);
    if (key.starts_with(optionPrefix))
      checkpoint.options.emplace_back(key.substr(std::strlen(optionPrefix)), value);
  }
  if (!text::fromText(metadata.at("progress"), checkpoint.progress))
    return fileError(path, "is a damaged checkpoint: its progress cannot be read");
  if (!text::fromText(metadata.at("normalization"), checkpoint.normalization))
    return fileError(path, "is a damaged checkpoint: its normalization cannot be read");
  return checkpoint;
}

static Result<Checkpoint> load(const std::string &path, SafeTensorsPart part) {
  return guarded(path, [&]() -> Result<Checkpoint> {
    Result<SafeTensors> file = readSafeTensors(path, part);
    if (!file)
      return file.status();
    if (Status status = checkFormat(path, file->metadata); !status)
      return status;
    if (part == SafeTensorsPart::Everything) {
      std::vector<StateView> views;
      for (NamedTensor &named : file->tensors)
        views.push_back(
            {named.name, "", named.tensor.type, named.tensor.shape, std::span(named.tensor.bytes)});
      if (checksum(file->metadata, views) != file->metadata.at("checksum"))
        return fileError(path, "is damaged: its checksum does not match");
    }
    Result<Checkpoint> checkpoint = readMetadata(path, file->metadata);
    if (checkpoint && part == SafeTensorsPart::Everything)
      checkpoint->state = std::move(file->tensors);
    return checkpoint;
  });
}

Result<Checkpoint> nibble::runtime::loadCheckpoint(const std::string &path) {
  return load(path, SafeTensorsPart::Everything);
}
Result<Checkpoint> nibble::runtime::loadCheckpointHeader(const std::string &path) {
  return load(path, SafeTensorsPart::HeaderOnly);
}

//===----------------------------------------------------------------------===//
// The same run?
//===----------------------------------------------------------------------===//

/// Keys of either side, ours first and in our order.
static std::vector<std::string> allKeys(const RunFields &here, const RunFields &there) {
  std::vector<std::string> keys;
  for (const RunFields *fields : {&here, &there})
    for (const auto &[key, value] : *fields)
      if (std::find(keys.begin(), keys.end(), key) == keys.end())
        keys.push_back(key);
  return keys;
}

/// "KEY is A in the checkpoint, B here".
static std::string difference(const std::string &key, const std::string *there,
                              const std::string *here) {
  auto shown = [](const std::string *value) {
    return !value ? std::string("not set") : value->empty() ? "''" : *value;
  };
  return key + " is " + shown(there) + " in the checkpoint and " + shown(here) + " here";
}

Status nibble::runtime::checkSameRun(const Checkpoint &checkpoint, const RunFields &run) {
  std::string lines;
  for (const std::string &key : allKeys(run, checkpoint.run)) {
    if (key == "program")
      continue;
    const std::string *there = findField(checkpoint.run, key), *here = findField(run, key);
    std::string mine = here ? text::utf8(*here) : "";
    if (!there || !here || *there != mine)
      lines += "\n" + difference(key, there, here ? &mine : nullptr);
  }
  if (lines.empty())
    return Status::success();
  return fileError(checkpoint.path,
                   "was saved by another run, so training cannot go on from it:" + lines);
}

std::vector<std::string> nibble::runtime::changedOptions(const Checkpoint &checkpoint,
                                                         const RunFields &options) {
  std::vector<std::string> sentences;
  for (const auto &[key, value] : options) {
    const std::string *there = findField(checkpoint.options, key);
    if (!there || *there != text::utf8(value))
      sentences.push_back("--" + difference(key, there, &value) +
                          "; from here on the run is another than the one that was interrupted");
  }
  return sentences;
}

//===----------------------------------------------------------------------===//
// Into a step
//===----------------------------------------------------------------------===//

static std::string describe(DType type, const std::vector<int64_t> &shape) {
  return std::string(name(type)) + " " + formatShape(shape);
}

/// Whether evaluation does without the checkpoint's tensor.
static bool isUnread(const StateView &tensor) {
  return tensor.role == "moment" || tensor.role == "grad_scale";
}

/// A line for each tensor that does not fit, the first five of them.
static std::string mismatches(const std::map<std::string, const Tensor *> &saved,
                              const std::vector<StateView> &tensors, Restore how) {
  std::vector<std::string> lines;
  std::set<std::string> here;
  for (const StateView &tensor : tensors) {
    here.insert(tensor.name);
    auto found = saved.find(tensor.name);
    bool unread = isUnread(tensor);
    if (found == saved.end()) {
      if (how == Restore::Exactly || !unread)
        lines.push_back("it has no '" + tensor.name + "' (" + tensor.role + ", " +
                        describe(tensor.type, tensor.shape) + ")");
    } else if (found->second->type != tensor.type || found->second->shape != tensor.shape) {
      if (how == Restore::Exactly || !unread)
        lines.push_back("'" + tensor.name + "' is " +
                        describe(found->second->type, found->second->shape) +
                        " in the checkpoint and " + describe(tensor.type, tensor.shape) + " here");
    }
  }
  for (const auto &[name, tensor] : saved)
    if (how == Restore::Exactly && !here.count(name))
      lines.push_back("it has '" + name + "' (" + describe(tensor->type, tensor->shape) +
                      "), which this network has not");
  std::string result;
  for (size_t i = 0; i < std::min<size_t>(lines.size(), 5); ++i)
    result += "\n" + lines[i];
  if (lines.size() > 5)
    result += "\nand " + std::to_string(lines.size() - 5) + " more differences";
  return result;
}

Status nibble::runtime::restoreState(const Checkpoint &checkpoint, const RunFields &run, Step &step,
                                     Restore how) {
  return guarded(checkpoint.path, [&]() -> Status {
    std::map<std::string, const Tensor *> saved;
    for (const NamedTensor &named : checkpoint.state)
      saved[named.name] = &named.tensor;
    std::vector<StateView> tensors = stateForFile(step);
    if (std::string lines = mismatches(saved, tensors, how); !lines.empty())
      return fileError(checkpoint.path, "does not fit this network:" + lines);
    const std::string *there = findField(checkpoint.run, "program"),
                      *here = findField(run, "program");
    if (how == Restore::Exactly && here && (!there || *there != *here))
      return fileError(
          checkpoint.path,
          "was saved by another program: its tensors fit, but the operations differ. The ONNX "
          "file's graph, an option that changes it, or the version of Nibble (" +
              checkpoint.tool + " wrote the checkpoint, this is " + toolVersion() + ") is another");
    for (const StateView &tensor : tensors)
      if (auto found = saved.find(tensor.name);
          found != saved.end() && (how == Restore::Exactly || !isUnread(tensor)))
        std::memcpy(tensor.bytes.data(), found->second->bytes.data(), tensor.bytes.size());
    return Status::success();
  });
}
