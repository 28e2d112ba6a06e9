//===- Augmentation.h - Images moved and mirrored ----------------*- C++ -*-===//
//
// `--augment=flip,crop`: in training, each image (C×H×W) of each epoch is mirrored left to right with
// probability 1/2, and moved by up to N pixels each way (N = 4; crop=N), what comes in being pixels
// of value 0 before normalization (He et al. 2016, section 4.2: padding by 4 and a random crop). What
// happens to a sample is a function of (seed, epoch, sample) alone: block `sample` of the Philox
// stream "augment" at step `epoch`; word 0's lowest bit mirrors, words 1 and 2 give the places of the
// crop, ⌊word·(2N + 1)/2³²⌋ rows and columns. So it depends neither on batches nor on resuming.
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_RUNTIME_AUGMENTATION_H
#define NIBBLE_RUNTIME_AUGMENTATION_H

#include "nibble/Runtime/Status.h"

#include <cstdint>
#include <string>

namespace nibble::runtime {

struct Augmentation {
  bool flip = false;
  /// Pixels of the largest move; 0: none.
  int64_t crop = 0;
  bool operator==(const Augmentation &) const = default;
  explicit operator bool() const { return flip || crop > 0; }

  /// "flip", "crop", "crop=N", joined by commas; "" or "none": nothing.
  static Result<Augmentation> parse(const std::string &spec);

  /// What happens to one sample in one epoch.
  struct Move {
    bool mirrored = false;
    /// Row and column of the image's source in the padded image, less the padding: −N … N.
    int64_t down = 0, right = 0;
    bool operator==(const Move &) const = default;
  };
  Move moveOf(uint64_t seed, uint32_t epoch, uint32_t sample) const;
  /// Moves one image in place. `scratch` holds at least height·width elements.
  static void apply(const Move &move, float *plane, int64_t height, int64_t width, float outside,
                    float *scratch);
};

} // namespace nibble::runtime

#endif // NIBBLE_RUNTIME_AUGMENTATION_H
