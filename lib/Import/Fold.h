//===- Fold.h - private to the room: what folds of host constants share -*- C++ -*-===//
#pragma once

#include "Importer.h"

namespace nibble::importer {

/// Input i as a constant with numbers; null: reported.
const HostTensor *dataOf(NodeContext &n, size_t i);

/// Element `at` of `to` becomes element `place` of `from`, a tensor of the same kind.
inline void copyElement(HostTensor &to, int64_t at, const HostTensor &from, int64_t place) {
  if (to.isFloat())
    to.floats[at] = from.floats[place];
  else
    to.ints[at] = from.ints[place];
}

/// A tensor of x's type whose element i is x's element place(i).
template <typename Place> HostTensor pick(const HostTensor &x, Shape shape, Place place) {
  HostTensor result = HostTensor::zeros(x.type, std::move(shape));
  for (int64_t i = 0, count = result.size(); i < count; ++i)
    copyElement(result, i, x, place(i));
  return result;
}

} // namespace nibble::importer
