//===- Profile.cpp - where the time of a step goes ---------------------------===//

#include "nibble/Runtime/Profile.h"

#include <chrono>

using namespace nibble::runtime;

static thread_local Profile *active = nullptr;

static uint64_t now() {
  auto since = std::chrono::steady_clock::now().time_since_epoch();
  return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(since).count());
}

void Profile::start() { active = this; }

void Profile::stop() {
  if (active == this)
    active = nullptr;
}

void Profile::mark(int32_t group) {
  uint64_t time = now();
  if (group < 0)
    ++begun;
  else if (static_cast<std::size_t>(group) < spent.size())
    spent[static_cast<std::size_t>(group)] += time - last;
  last = time;
}

/// Abi.def.
extern "C" void nibble_profile_mark(int32_t group) {
  if (active)
    active->mark(group);
}
