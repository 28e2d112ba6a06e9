//===- CheckpointFolderTest.cpp - Where a run keeps its checkpoints ---------------------------===//

#include "nibble/Runtime/CheckpointFolder.h"

#include "FakeStep.h"
#include "Files.h"

#include <algorithm>
#include <sys/mount.h>

using namespace nibble;
using namespace nibble::runtime;
using namespace nibble::test;

namespace fs = std::filesystem;

namespace {

Checkpoint at(int64_t step) {
  Checkpoint c;
  c.tool = toolVersion();
  c.progress.step = step;
  return c;
}

std::vector<std::string> namesIn(const std::string &folder) {
  std::vector<std::string> names;
  for (const auto &entry : fs::directory_iterator(folder))
    names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

int64_t stepIn(const std::string &file) {
  Result<Checkpoint> read = loadCheckpoint(file);
  EXPECT_TRUE(read) << read.message();
  return read ? read->progress.step : -1;
}

/// A run of one process that saves these steps; negative: the best so far.
void save(const std::string &folder, CheckpointFolderOptions options,
          const std::vector<int64_t> &steps) {
  FakeStep step;
  Result<CheckpointFolder> opened = CheckpointFolder::open(folder, options);
  ASSERT_TRUE(opened) << opened.message();
  Status begun = opened->begin(step);
  ASSERT_TRUE(begun) << begun.message();
  int64_t best = 0;
  for (int64_t s : steps) {
    step.scale = static_cast<float>(s);
    Checkpoint c = at(std::abs(s));
    best = s < 0 ? -s : best;
    c.progress.bestStep = best;
    if (best)
      c.progress.best = Score{};
    Status status = opened->save(c, step, s < 0);
    ASSERT_TRUE(status) << status.message();
  }
}

std::string refusal(const std::string &folder, CheckpointFolderOptions options) {
  return CheckpointFolder::open(folder, options).message();
}

// Law: step 0 and the newest files stay, `last` is the newest, `best` the one that was called best;
// nothing else is left in the folder.
TEST(CheckpointFolder, KeepsWhatItShould) {
  TempFolder temp;
  std::string folder = temp.path("a/b"); // made with its parents
  save(folder, {.keep = 2}, {0, 10, -20, 30, 1234567});
  EXPECT_EQ(namesIn(folder), (std::vector<std::string>{".lock", "best.safetensors", "checkpoints",
                                                       "last.safetensors"}));
  EXPECT_EQ(namesIn(folder + "/checkpoints"),
            (std::vector<std::string>{"step-000000.safetensors", "step-000030.safetensors",
                                      "step-1234567.safetensors"}));
  EXPECT_EQ(stepIn(folder + "/last.safetensors"), 1234567);
  EXPECT_EQ(stepIn(folder + "/best.safetensors"), 20);
  save(temp.path("all"), {.keep = 0}, {0, 1, 2, 3, 4, 5});
  EXPECT_EQ(namesIn(temp.path("all/checkpoints")).size(), 6u);
}

// Law: a folder that holds a run is refused by a word that names both ways on; what is in it was
// not touched. A folder with other files is not a run.
TEST(CheckpointFolder, AnotherRunIsRefused) {
  TempFolder temp;
  temp.write("notes.txt", "mine");
  save(temp.path(), {}, {0, -10});
  EXPECT_EQ(refusal(temp.path(), {}),
            temp.path() + ": holds a run already. --resume goes on with it, --overwrite discards "
                          "it; or choose another --out");
  EXPECT_EQ(stepIn(temp.path("last.safetensors")), 10);
  save(temp.path(), {.overwrite = true}, {0});
  EXPECT_EQ(stepIn(temp.path("last.safetensors")), 0);
  EXPECT_FALSE(fs::exists(temp.path("best.safetensors")));
  EXPECT_EQ(namesIn(temp.path("checkpoints")).size(), 1u);
  EXPECT_TRUE(fs::exists(temp.path("notes.txt")));
  TempFolder trained;
  trained.write("model.onnx", "a trained network");
  EXPECT_NE(refusal(trained.path(), {}).find("--overwrite"), std::string::npos);
}

// Law: while one run has the folder, a second one is refused, whatever it wants.
TEST(CheckpointFolder, OneRunAtATime) {
  TempFolder temp;
  Result<CheckpointFolder> first = CheckpointFolder::open(temp.path(), {});
  ASSERT_TRUE(first);
  for (CheckpointFolderOptions options :
       {CheckpointFolderOptions{}, {.resume = true}, {.overwrite = true}})
    EXPECT_NE(refusal(temp.path(), options)
                  .find("another run is using this folder: process " + std::to_string(::getpid())),
              std::string::npos);
}

// Law: --resume takes `last`, then, where there is none, the newest step; an empty folder begins.
TEST(CheckpointFolder, ResumeTakesTheLast) {
  TempFolder temp;
  auto resumed = [&] {
    Result<CheckpointFolder> folder = CheckpointFolder::open(temp.path(), {.resume = true});
    EXPECT_TRUE(folder) << folder.message();
    return folder->resumed() ? folder->resumed()->progress.step : -1;
  };
  EXPECT_EQ(resumed(), -1);
  save(temp.path(), {}, {0, 10, 20});
  EXPECT_EQ(resumed(), 20);
  fs::remove(temp.path("last.safetensors"));
  EXPECT_EQ(resumed(), 20);
}

// Law: a damaged `last` is not passed over in silence; the word says where older ones are.
TEST(CheckpointFolder, DamagedLast) {
  TempFolder temp;
  save(temp.path(), {}, {0, 10});
  temp.write("last.safetensors.part", "");
  fs::remove(temp.path("last.safetensors"));
  temp.write("last.safetensors", "not a checkpoint");
  std::string message = refusal(temp.path(), {.resume = true});
  EXPECT_NE(message.find("last.safetensors"), std::string::npos);
  EXPECT_NE(message.find("Older checkpoints are in " + temp.path("checkpoints")),
            std::string::npos);
  save(temp.path(),
       {.resumeFile = temp.path("checkpoints/step-000010.safetensors"), .overwrite = true}, {});
  EXPECT_EQ(stepIn(temp.path("last.safetensors")), 10);
}

// Law: a crash between two of the three files of a save is repaired by going on: `last` decides,
// what is ahead of it goes.
TEST(CheckpointFolder, CrashBetweenFiles) {
  TempFolder temp;
  save(temp.path(), {}, {0, -10, 20});
  std::string last = temp.path("last.safetensors"), kept = temp.path("kept");
  fs::copy_file(last, kept);
  save(temp.path(), {.resume = true}, {-30});
  fs::rename(kept, last); // as if the crash had come before `last`
  EXPECT_EQ(stepIn(temp.path("best.safetensors")), 30);
  save(temp.path(), {.resume = true}, {});
  EXPECT_EQ(stepIn(last), 20);
  EXPECT_EQ(stepIn(temp.path("best.safetensors")), 10);
  EXPECT_FALSE(fs::exists(temp.path("checkpoints/step-000030.safetensors")));
}

// Law: what a killed process left half-written is gone once the run goes on; other files are not
// touched.
TEST(CheckpointFolder, HalfWrittenFilesGo) {
  TempFolder temp;
  save(temp.path(), {}, {0, 10});
  temp.write("best.safetensors.part", "");
  temp.write("checkpoints/step-000011.safetensors.part", "half");
  temp.write("mine.part", "");
  save(temp.path(), {.resume = true}, {});
  EXPECT_EQ(namesIn(temp.path()),
            (std::vector<std::string>{".lock", "checkpoints", "last.safetensors", "mine.part"}));
  EXPECT_EQ(namesIn(temp.path("checkpoints")).size(), 2u);
}

// Law: going back to an older file of the same run needs --overwrite; then what came after is gone.
TEST(CheckpointFolder, GoingBack) {
  TempFolder temp;
  save(temp.path(), {}, {0, -10, 20, -30});
  CheckpointFolderOptions options{.resumeFile = temp.path("checkpoints/step-000010.safetensors")};
  std::string message = refusal(temp.path(), options);
  EXPECT_NE(message.find("has gone on to step 30"), std::string::npos) << message;
  EXPECT_NE(message.find("--overwrite"), std::string::npos);
  options.overwrite = true;
  save(temp.path(), options, {});
  EXPECT_EQ(stepIn(temp.path("last.safetensors")), 10);
  EXPECT_EQ(stepIn(temp.path("best.safetensors")), 10);
  EXPECT_EQ(namesIn(temp.path("checkpoints")).size(), 2u);
  // `best` itself is a file to go on from.
  options = {.resumeFile = temp.path("best.safetensors")};
  EXPECT_EQ(refusal(temp.path(), options), "");
}

// Law: a checkpoint of another folder begins a run here, and never silently in place of one.
TEST(CheckpointFolder, FromAnotherFolder) {
  TempFolder from, to;
  save(from.path(), {}, {0, 10});
  CheckpointFolderOptions options{.resumeFile = from.path("last.safetensors")};
  save(to.path(), options, {20});
  EXPECT_EQ(stepIn(to.path("last.safetensors")), 20);
  EXPECT_TRUE(fs::exists(to.path("checkpoints/step-000010.safetensors")));
  EXPECT_EQ(stepIn(from.path("last.safetensors")), 10);
  EXPECT_NE(refusal(to.path(), options).find("holds another run"), std::string::npos);
}

/// A tmpfs of so many kilobytes; needs root.
class Disk {
public:
  explicit Disk(const char *options) {
    good = ::mount("tmpfs", temp.path().c_str(), "tmpfs", 0, options) == 0;
  }
  ~Disk() {
    if (good)
      ::umount(temp.path().c_str());
  }
  bool good;
  TempFolder temp;
};

// Law: wherever in a save the disk becomes full, the error says so and names what is good, `last`
// is whole, and once there is space the run goes on.
TEST(CheckpointFolder, FullDisk) {
  Disk disk("size=256k");
  if (!disk.good)
    GTEST_SKIP() << "mounting a small tmpfs needs root";
  std::string folder = disk.temp.path("run");
  FakeStep step;
  Result<CheckpointFolder> opened = CheckpointFolder::open(folder, {});
  ASSERT_TRUE(opened && opened->begin(step).ok() && opened->save(at(0), step, true).ok());
  for (int64_t leave = 0; leave <= 12; leave += 4) { // kilobytes; a file of one page takes 4
    std::string filler = disk.temp.write("filler", std::string(256 << 10, 'x'));
    fs::resize_file(filler, fs::file_size(filler) - static_cast<uintmax_t>(leave << 10));
    int64_t before = stepIn(opened->lastPath());
    Status status = opened->save(at(before + 1), step, true);
    if (!status) {
      EXPECT_NE(status.message().find("No space left on device"), std::string::npos)
          << status.message();
      EXPECT_NE(status.message().find("the state of step " + std::to_string(before) +
                                      " is safe in " + opened->lastPath()),
                std::string::npos)
          << status.message();
      EXPECT_EQ(stepIn(opened->lastPath()), before);
    }
    EXPECT_EQ(status.ok(), leave >= 4) << leave;
    fs::remove(filler);
    ASSERT_TRUE(opened->save(at(before + 1), step, true).ok());
    EXPECT_EQ(stepIn(opened->lastPath()), before + 1);
  }
}

// Law: a read-only folder is refused before anything is computed.
TEST(CheckpointFolder, ReadOnly) {
  Disk disk("size=64k,ro");
  if (!disk.good)
    GTEST_SKIP() << "mounting a small tmpfs needs root";
  EXPECT_EQ(refusal(disk.temp.path(), {}),
            disk.temp.path() + ": cannot be written to (its file .lock): Read-only file system");
  EXPECT_EQ(refusal(disk.temp.path("new"), {}),
            disk.temp.path("new") + ": the folder cannot be made: Read-only file system");
}

} // namespace
