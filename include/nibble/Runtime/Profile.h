//===- Profile.h - where the time of a step goes --------------------*- C++ -*-===//
//
// Code compiled with `profile` (Driver, CompileOptions) calls `nibble_profile_mark` as it enters
// @train_step and behind each group. The calls of the thread that runs the step are timed here;
// without a live Profile they do nothing.
//
//===----------------------------------------------------------------------===//
#pragma once

#include <cstdint>
#include <vector>

namespace nibble::runtime {

/// Times the groups of the steps that its thread runs while it is active. At most one is active a
/// thread.
class Profile {
public:
  explicit Profile(std::size_t groups) : spent(groups) {}
  ~Profile() { stop(); }
  Profile(const Profile &) = delete;
  Profile &operator=(const Profile &) = delete;

  void start();
  void stop();

  /// Nanoseconds of each group in all steps.
  const std::vector<uint64_t> &nanoseconds() const { return spent; }
  /// Steps that began.
  uint64_t steps() const { return begun; }

  /// What generated code calls: `group` has ended, or with −1 a step begins.
  void mark(int32_t group);

private:
  std::vector<uint64_t> spent;
  uint64_t begun = 0, last = 0;
};

} // namespace nibble::runtime
