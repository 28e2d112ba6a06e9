//===- GroupHarness.h - runs groups as compiled code and by the interpreter -*- C++ -*-===//
#pragma once

#include "nibble/Codegen/CPU/CpuTarget.h"
#include <string>

namespace nibble::test {

/// A function over tensors, `(%a: tensor<…>, …) -> (tensor<…>, …) { … return … }`: its body becomes one plan.group, which is
/// lowered, compiled and run; the interpreter runs the function. Every output must have the same bits (a NaN is a NaN), and no
/// byte outside the buffers may change. All padding and all scratch begins as NaN.
///
/// Arguments are random: f32 in [−3, 3] with some zeros of both signs, denormals and large numbers; masks, bits and codes over
/// all they can hold. Attributes of an argument change that: {t.lo = −1.0, t.hi = 1.0} uniform in a range, {t.max = 10} whole
/// numbers 0 … 9, {t.special} with NaN and infinities, {t.value = 5} that value everywhere.
void expectSameBits(const std::string &function, const std::string &cpu = "native", unsigned seed = 1);

/// The processors of the host that tests run code for: generic and native.
const char *const kProcessors[] = {"native", "generic"};

/// `text` with every $name replaced: {{"n", "33"}}.
std::string with(std::string text, std::initializer_list<std::pair<const char *, std::string>> names);

} // namespace nibble::test
