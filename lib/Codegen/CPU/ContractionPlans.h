//===- ContractionPlans.h - how each form of product is laid out ---*- C++ -*-===//
//
// A plan holds every size and scratch offset of one contraction on one target. It is made without a
// builder, so that the scratch that is stated and the scratch that is used come from the same code.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "ContractionPanels.h"
#include "ContractionShape.h"
#include "ContractionTiles.h"
#include <optional>
#include <vector>

namespace nibble::contraction {

/// Bytes that the decoded images of one pass may take, unless one image needs more.
inline constexpr int64_t kGroupBytes = 2 << 20;

/// The buffers and scalars of an op at emission.
struct Buffers {
  Value left, right, output, scale, leftZero,
      rightZero; // scale f32 (the whole factor), zero points i16 or null
  /// Does the output hold the results of one pass, instead of all?
  bool onePass = false;
  /// Emits what reads the results of a pass, elements of all results; may be null.
  function_ref<void(Value first, Value count)> afterPass;

  /// The first of a pass's images, as the output counts them.
  Value firstIn(Emit &e, Value first) const { return onePass ? e.index(0) : first; }
};

/// Images of a pass: `most`, or fewer where a reader takes the results, whole units of it that the
/// second-level cache holds.
int64_t imagesOfPass(const Contraction &c, const WindowProduct &w, int64_t most);

/// WindowProduct on codes: images are decoded a group at a time and padded with zeros, the weights
/// packed once. The images are the unit's left operand.
struct WindowCodesPlan {
  struct Class {
    CodeProduct product;
    PackSpec weights;
    int64_t length; // terms of a run of contiguous input
    bool direct;    // packed without a decoded copy of the weights
    int64_t panel;  // scratch offsets
    int64_t starts() const { return product.columns.count() * product.tileColumns; }
  };
  WindowProduct w;
  const DotUnit *unit;
  PadSpec pad;
  bool padded, wide;   // wide: sums in 64 bits, of pairs
  bool hasPanel;       // the weights are packed already
  bool weightsInPlace; // packed from their codes, which are what they decode to
  int64_t group;       // images a pass
  std::vector<Class> classes;
  int64_t imagesFlat, imagesPadded, weightsFlat, weightsFlatElements, sums, slack;
  ScratchLayout scratch;

  Form imageForm() const { return unit->leftForm(); }
  Form weightForm() const { return unit->rightForm(); }
  /// Images go to their padded places as they are decoded.
  bool decodesMaps() const { return padded && contraction::decodesMaps(pad); }
  int64_t flatElements() const { return decodedElements(group * w.inImage()) + slack; }
  int64_t paddedElements() const {
    return padded ? group * pad.paddedHeight * pad.paddedWidth * w.inChannels : 0;
  }
};
WindowCodesPlan planWindowCodes(const Contraction &c, const CpuTarget &target);
void emitWindowCodes(Emit &e, const Contraction &c, const WindowCodesPlan &plan,
                     const Buffers &buffers);

/// Where a class of weights is packed to. Where the unit's sums begin at a number, `starts` become
/// -offset · (sum of the column).
struct PackTarget {
  Value panel, offset, starts;
};
void packWeights(Emit &e, const Contraction &c, const WindowCodesPlan &plan, const Buffers &buffers,
                 function_ref<PackTarget(const WindowCodesPlan::Class &)> targetOf);

/// The starts of a product whose weights are packed already (ContractionPanelBuffer.cpp).
void emitStartsFromPanel(Emit &e, const Contraction &c, const WindowCodesPlan &plan,
                         const Buffers &buffers);

/// What an unsigned element of Winograd's B' d B is more than that of the nibbles, but for position
/// (1, 1), whose elements are sums of four nibbles.
inline constexpr int64_t kExcess = 64, kSumPosition = 5;

/// WindowProduct of codes with 3x3 taps at stride 1, by exact Winograd: tiles of 2x2 results, a
/// product for each of sixteen positions of a transformed tile, a block of tiles at a time.
/// Transformed numbers are bytes (of four-bit codes, where the target has quads) or 16-bit
/// integers.
struct WinogradPlan {
  WindowProduct w;
  CodeProduct product;
  PackSpec weights;
  PadSpec pad;
  int64_t tilesHigh, tilesWide, firstRow, firstColumn; // tiles of an image; where the first begins
  int64_t group, blocks, blockTiles; // images, and blocks of tiles, of a pass; tiles of a block
  int64_t weightsFlat, transformed, panel, imagesFlat, imagesPadded, values, sums;
  ScratchLayout scratch;

  bool hasOffset() const { return product.unit->hasOffset(); }
  Form imageForm() const { return product.unit->leftForm(); }
  Form weightForm() const { return product.unit->rightForm(); }
  int64_t columns() const { return product.tileColumns; }
  int64_t paddedImage() const { return pad.paddedHeight * pad.paddedWidth * w.inChannels; }
  // Elements of one position of a block. The odd line keeps the positions, which are written
  // together, out of the same sets of the caches.
  int64_t valuePosition() const {
    return blockTiles * w.inChannels + 64 / product.unit->elementBytes();
  }
  int64_t sumPosition() const { return blockTiles * columns() + 16; }
  int64_t transformedElements() const {
    return 16 * w.inChannels * w.outChannels + weights.slack();
  }
};
/// The plan, where the product is of this kind and gains by it.
std::optional<WinogradPlan> planWinograd(const Contraction &c, const CpuTarget &target);
void emitWinograd(Emit &e, const Contraction &c, const WinogradPlan &plan, const Buffers &buffers);

/// PixelSum on codes: both operands become panels of tuples of terms, a group of images at a time.
/// The terms of a tuple are the same pixel of several images; of one image (Single), neighbours in
/// a row; of a matrix product, neighbours along the contraction. The columns are the unit's left
/// operand.
struct PixelCodesPlan {
  enum Mode { Matrix, Images, Single } mode;
  PixelSum p;
  const DotUnit *unit;
  CodeProduct product;
  PackSpec rows, columns; // columns: of matrix products
  PadSpec pad;
  bool padded;
  bool blocked;     // columns of images: a panel for each block of channels
  bool rowsInPlace; // packed from their codes, which are what they decode to
  int64_t group;    // images a pass; whole tuples in the mode Images
  Epilogue epilogue;
  int64_t rowsFlat, rowsPanel, columnsFlat, columnsPadded, columnsPanel, sums, slack;
  ScratchLayout scratch;

  Form rowForm() const { return unit->rightForm(); }
  Form columnForm() const { return unit->leftForm(); }
  /// Images of a unit of a pass, and their number.
  int64_t unitImages() const { return mode == Images ? unit->tuple : 1; }
  int64_t units() const { return group / unitImages(); }
  int64_t rowImage() const { return p.s.outHeight * p.s.outWidth * p.s.outChannels; }
  int64_t columnImage() const { return p.s.height * p.s.width * p.s.channels; }
  int64_t paddedImage() const { return pad.paddedHeight * pad.paddedWidth * p.s.channels; }
  int64_t rowsFlatElements() const { return decodedElements(group * rowImage()) + slack; }
  int64_t rowsPanelElements() const { return rows.elements() + 64; }
  int64_t rowStarts() const { return rows.tiles.count() * rows.tileColumns + 16; }
  int64_t columnsFlatElements() const;
  int64_t columnsPaddedElements() const { return group * paddedImage() + slack; }
  int64_t columnsPanelElements() const;
  int64_t results() const;
};
PixelCodesPlan planPixelCodes(const Contraction &c, const CpuTarget &target);
void emitPixelCodes(Emit &e, const Contraction &c, const PixelCodesPlan &plan,
                    const Buffers &buffers);

/// PixelSum of codes with 3x3 taps at stride 1, by exact Winograd: tiles of 2x2 result gradients
/// against 4x4 pixels, a matrix product over the tiles of all images for each of the sixteen
/// positions of a transformed tile. Both operands are transformed a pass of images at a time, four
/// positions at a time. The columns are the unit's left operand.
struct WinogradPixelsPlan {
  static constexpr int64_t kRows = 16; // result channels side by side in the panel of rows
  nn::ConvShape s;
  CodeProduct product; // of one position
  PadSpec rowPad, columnPad;
  int64_t tilesHigh, tilesWide; // of an image
  int64_t group, passes;        // images of a pass; passes whose sums fit 32 bits: a part
  int64_t span;                 // tiles of columns at a time
  Epilogue epilogue;            // of a part
  int64_t rowsFlat, rowsMaps, rowsPanel, columnsFlat, columnsMaps, columnsPanel;
  int64_t products, classSums, excess, sums;
  ScratchLayout scratch;

  const DotUnit &unit() const { return *product.unit; }
  bool hasOffset() const { return unit().hasOffset(); }
  Form rowForm() const { return unit().rightForm(); }
  Form columnForm() const { return unit().leftForm(); }
  int64_t part() const { return group * passes; }
  int64_t tiles() const { return tilesHigh * tilesWide; }
  /// Of a pass: tuples of images, and tuples of tiles, the terms of a product.
  int64_t units() const { return group / unit().tuple; }
  int64_t tuples() const { return units() * tiles(); }
  int64_t rowImage() const { return s.outHeight * s.outWidth * s.outChannels; }
  int64_t columnImage() const { return s.height * s.width * s.channels; }
  int64_t rowsFlatElements() const { return decodedElements(group * rowImage()); }
  int64_t columnsFlatElements() const { return decodedElements(group * columnImage()); }
  int64_t rowsMapsElements() const {
    return group * rowPad.paddedHeight * rowPad.paddedWidth * s.outChannels;
  }
  int64_t columnsMapsElements() const {
    return group * columnPad.paddedHeight * columnPad.paddedWidth * s.channels;
  }
  // Elements of one position's panels and products. The odd number of lines keeps the positions,
  // which are written and read together, out of the same sets of the caches.
  int64_t rowPosition() const { return tuples() * unit().tuple * s.outChannels + 64; }
  int64_t columnPosition() const { return tuples() * unit().tuple * spanColumns() + 64; }
  int64_t productPosition() const { return s.outChannels * spanColumns() + 16; }
  int64_t spanColumns() const { return span * product.tileColumns; }
  int64_t rowPositions() const { return spanColumns() < s.channels ? 16 : 4; }
  int64_t results() const { return s.outChannels * 9 * s.channels; }
};
/// The plan, where the product is of this kind and gains by it.
std::optional<WinogradPixelsPlan> planWinogradPixels(const Contraction &c, const CpuTarget &target);
void emitWinogradPixels(Emit &e, const Contraction &c, const WinogradPixelsPlan &plan,
                        const Buffers &buffers);

/// Panels of f32: [tile][outer][term][tileColumns], columns beyond the last unspecified.
struct FloatPackSpec {
  IndexMap tiles; // tile -> (source offset, first column within its block)
  IndexMap outer; // kernel position -> (source offset)
  int64_t terms, termStride, columnStride, tileColumns, blockColumns;
  int64_t elements() const { return tiles.count() * outer.count() * terms * tileColumns; }
};

/// WindowProduct in f32: the left operand is read in place, the weights are packed into panels
/// [tile][kh][kw][term][columns].
struct WindowFloatPlan {
  WindowProduct w;
  FloatPackSpec weights;
  bool depthwise; // a channel a group: the groups are the columns
  int64_t vectors, rows, kernelH = 1, kernelW = 1;
  int64_t panel;
  ScratchLayout scratch;
};
WindowFloatPlan planWindowFloat(const Contraction &c, const CpuTarget &target);
void emitWindowFloat(Emit &e, const Contraction &c, const WindowFloatPlan &plan,
                     const Buffers &buffers);

/// PixelSum in f32: both operands are read in place (but a transposed right one of a matrix
/// product, which is packed).
struct PixelFloatPlan {
  PixelSum p;
  FloatPackSpec columns;
  bool packed;
  bool depthwise; // a channel a group: the groups are the columns
  bool rowWise; // columns span the pixels of an image row: (kw, c), where c alone would waste lanes
  int64_t vectors, rows, panel;
  ScratchLayout scratch;
};
PixelFloatPlan planPixelFloat(const Contraction &c, const CpuTarget &target);
void emitPixelFloat(Emit &e, const PixelFloatPlan &plan, const Buffers &buffers);

/// Packs `source` (an f32 memref of `elements`) into `target`.
void packFloat(Emit &e, const FloatPackSpec &spec, Value source, int64_t elements, Value target);
/// A constant table of rows of i64 numbers, as a pointer.
Value constantTable(Emit &e, ArrayRef<int64_t> numbers);

} // namespace nibble::contraction
