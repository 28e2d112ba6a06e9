//===- Augmentation.cpp - Images moved and mirrored ---------------------------------------===//

#include "nibble/Runtime/Augmentation.h"

#include "nibble/Numerics/Random.h"

#include <charconv>
#include <cstring>
#include <string_view>

using namespace nibble;
using namespace nibble::runtime;

static constexpr int64_t largestCrop = 64;

static Status expected(std::string_view found) {
  return Status::error("--augment: flip, crop or crop=N (N from 1 to 64), joined by commas, or none expected, "
                       "found '" +
                       std::string(found) + "'");
}

Result<Augmentation> Augmentation::parse(const std::string &spec) {
  Augmentation result;
  std::string_view rest = spec == "none" ? std::string_view() : std::string_view(spec);
  while (!rest.empty()) {
    size_t end = rest.find(',');
    std::string_view part = rest.substr(0, end);
    rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
    if (part == "flip") {
      result.flip = true;
    } else if (part == "crop") {
      result.crop = 4;
    } else if (part.starts_with("crop=")) {
      part.remove_prefix(5);
      auto [last, code] = std::from_chars(part.data(), part.data() + part.size(), result.crop);
      if (code != std::errc() || last != part.data() + part.size() || result.crop < 1 ||
          result.crop > largestCrop)
        return expected(spec);
    } else {
      return expected(spec);
    }
  }
  return result;
}

Augmentation::Move Augmentation::moveOf(uint64_t seed, uint32_t epoch, uint32_t sample) const {
  static constexpr uint32_t stream = numerics::fnv1a32("augment");
  auto words = numerics::RandomBits(seed, epoch, stream).block(sample);
  auto place = [&](uint32_t word) {
    uint64_t places = 2 * static_cast<uint64_t>(crop) + 1;
    return static_cast<int64_t>((word * places) >> 32) - crop;
  };
  return {flip && (words[0] & 1) != 0, place(words[1]), place(words[2])};
}

void Augmentation::apply(const Move &move, float *plane, int64_t height, int64_t width,
                         float outside, float *scratch) {
  if (move == Move())
    return;
  std::memcpy(scratch, plane, static_cast<size_t>(height * width) * sizeof(float));
  for (int64_t row = 0; row < height; ++row)
    for (int64_t column = 0; column < width; ++column) {
      // Moved, then mirrored.
      int64_t from = (move.mirrored ? width - 1 - column : column) + move.right,
              line = row + move.down;
      bool inside = line >= 0 && line < height && from >= 0 && from < width;
      plane[row * width + column] = inside ? scratch[line * width + from] : outside;
    }
}
