//===- Abi.cpp - The bridge as a table ---------------------------------------------------===//

#include "nibble/Runtime/Abi.h"

#include <algorithm>

using namespace nibble::runtime::abi;

static constexpr Symbol table[] = {
#define NIBBLE_ABI_OPENMP(symbol, prototype, purpose)                                              \
  {#symbol, Provider::OpenMP, prototype, purpose},
#define NIBBLE_ABI_RUNTIME(symbol, prototype, purpose)                                             \
  {#symbol, Provider::Runtime, prototype, purpose},
#define NIBBLE_ABI_LIBC(symbol, prototype, purpose) {#symbol, Provider::LibC, prototype, purpose},
#include "nibble/Runtime/Abi.def"
};

std::span<const Symbol> nibble::runtime::abi::symbols() { return table; }

bool nibble::runtime::abi::isBridgeSymbol(std::string_view name) {
  return std::any_of(std::begin(table), std::end(table),
                     [&](const Symbol &symbol) { return symbol.name == name; });
}
