//===- Npy.cpp - NumPy's array files ------------------------------------------------===//

#include "Npy.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <map>

using namespace nibble;
using namespace nibble::runtime;

namespace {

/// More than enough for a dict of three entries; NumPy itself refuses more than 10,000 by default.
constexpr uint32_t largestHeader = 65536;
/// NumPy's own limit.
constexpr size_t largestRank = 64;

/// The little of Python's literal syntax that a header uses: strings, True, False, tuples of
/// integers.
class HeaderParser {
public:
  explicit HeaderParser(std::string_view text) : rest(text) {}

  Result<NpyHeader> parse() {
    if (!take('{'))
      return bad("'{'");
    bool sawType = false, sawOrder = false, sawShape = false;
    while (!take('}')) {
      std::string_view key;
      if (!takeString(key) || !take(':'))
        return bad("a quoted key and ':'");
      Status status;
      if (key == "descr") {
        status = parseType();
        sawType = true;
      } else if (key == "fortran_order") {
        status = parseBool();
        sawOrder = true;
      } else if (key == "shape") {
        status = parseShape();
        sawShape = true;
      } else {
        return Status::error("unknown key '" + std::string(key.substr(0, 40)) + "' in its header");
      }
      if (!status)
        return status;
      if (!take(',') && !peek('}'))
        return bad("',' or '}'");
    }
    if (!sawType || !sawOrder || !sawShape)
      return Status::error("its header lacks descr, fortran_order or shape");
    return header;
  }

private:
  void skipSpace() {
    while (!rest.empty() && (rest.front() == ' ' || rest.front() == '\n' || rest.front() == '\t'))
      rest.remove_prefix(1);
  }
  bool peek(char c) {
    skipSpace();
    return !rest.empty() && rest.front() == c;
  }
  bool take(char c) {
    if (!peek(c))
      return false;
    rest.remove_prefix(1);
    return true;
  }
  bool takeWord(std::string_view word) {
    skipSpace();
    if (!rest.starts_with(word))
      return false;
    rest.remove_prefix(word.size());
    return true;
  }
  bool takeString(std::string_view &text) {
    skipSpace();
    if (rest.empty() || (rest.front() != '\'' && rest.front() != '"'))
      return false;
    size_t end = rest.find(rest.front(), 1);
    if (end == std::string_view::npos)
      return false;
    text = rest.substr(1, end - 1);
    rest.remove_prefix(end + 1);
    return true;
  }
  Status bad(const char *expected) const {
    return Status::error(std::string("cannot read its header: ") + expected + " expected at \"" +
                         std::string(rest.substr(0, 20)) + "\"");
  }

  Status parseType() {
    static const std::map<std::string_view, DType> types = {
        {"b1", DType::U8},  {"u1", DType::U8},  {"i1", DType::I8},  {"u2", DType::U16},
        {"i2", DType::I16}, {"u4", DType::U32}, {"i4", DType::I32}, {"u8", DType::U64},
        {"i8", DType::I64}, {"f2", DType::F16}, {"f4", DType::F32}, {"f8", DType::F64}};
    if (peek('['))
      return Status::error("has a structured element type; plain numbers are needed");
    std::string_view text;
    if (!takeString(text) || text.empty())
      return bad("an element type");
    std::string_view code = text;
    char order = '=';
    if (std::strchr("<>|=", code.front())) {
      order = code.front();
      code.remove_prefix(1);
    }
    auto type = types.find(code);
    if (type == types.end())
      return Status::error(
          "has element type '" + std::string(text.substr(0, 40)) +
          "'; bool, int and uint of 8 to 64 bits and float of 16 to 64 can be read");
    header.type = type->second;
    header.swapBytes = order == '>';
    return Status::success();
  }

  Status parseBool() {
    if (takeWord("True"))
      header.fortranOrder = true;
    else if (!takeWord("False"))
      return bad("True or False");
    return Status::success();
  }

  Status parseShape() {
    if (!take('('))
      return bad("'('");
    while (!take(')')) {
      skipSpace();
      int64_t dim = 0;
      auto [end, code] = std::from_chars(rest.data(), rest.data() + rest.size(), dim);
      if (code != std::errc() || dim < 0)
        return bad("a dimension");
      rest.remove_prefix(static_cast<size_t>(end - rest.data()));
      takeWord("L"); // Python 2 wrote long integers so
      header.shape.push_back(dim);
      if (header.shape.size() > largestRank)
        return Status::error("has more than 64 dimensions");
      if (!take(',') && !peek(')'))
        return bad("',' or ')'");
    }
    return Status::success();
  }

  std::string_view rest;
  NpyHeader header;
};

void reverseBytes(Tensor &tensor) {
  size_t width = byteWidth(tensor.type);
  for (auto at = tensor.bytes.begin(); at != tensor.bytes.end(); at += width)
    std::reverse(at, at + width);
}

/// Column-major to row-major. `from` is read in order, so its first index runs fastest.
void transpose(Tensor &tensor) {
  size_t width = byteWidth(tensor.type), rank = tensor.shape.size();
  std::vector<int64_t> stride(rank, 1), index(rank, 0);
  for (size_t d = rank; d-- > 1;)
    stride[d - 1] = stride[d] * tensor.shape[d];
  std::vector<std::byte> to(tensor.bytes.size());
  int64_t place = 0;
  for (size_t from = 0; from < to.size(); from += width) {
    std::memcpy(to.data() + place * static_cast<int64_t>(width), tensor.bytes.data() + from, width);
    for (size_t d = 0; d < rank; ++d) {
      place += stride[d];
      if (++index[d] < tensor.shape[d])
        break;
      place -= stride[d] * tensor.shape[d];
      index[d] = 0;
    }
  }
  tensor.bytes = std::move(to);
}

Result<NpyHeader> readHeader(ByteReader &reader) {
  uint8_t start[8];
  if (Status status = reader.readExactly(start, 8, ".npy header"); !status)
    return status;
  if (std::memcmp(start, "\x93NUMPY", 6) != 0)
    return fileError(reader.name(), "not a NumPy array: it does not begin with \\x93NUMPY");
  if (start[6] < 1 || start[6] > 3)
    return fileError(reader.name(),
                     "NumPy format version " + std::to_string(start[6]) + "; 1 to 3 can be read");
  uint8_t length[4] = {};
  if (Status status = reader.readExactly(length, start[6] == 1 ? 2 : 4, ".npy header"); !status)
    return status;
  uint32_t size =
      length[0] | length[1] << 8 | length[2] << 16 | static_cast<uint32_t>(length[3]) << 24;
  if (size > largestHeader)
    return fileError(reader.name(), "its header claims " + std::to_string(size) +
                                        " bytes; at most " + std::to_string(largestHeader) +
                                        " are accepted");
  std::string text(size, '\0');
  if (Status status = reader.readExactly(text.data(), size, ".npy header"); !status)
    return status;
  Result<NpyHeader> header = parseNpyHeader(text);
  return header ? header : fileError(reader.name(), header.message());
}

} // namespace

Result<NpyHeader> nibble::runtime::parseNpyHeader(std::string_view text) {
  return HeaderParser(text).parse();
}

Result<Tensor> nibble::runtime::readNpy(ByteReader &reader) {
  Result<NpyHeader> header = readHeader(reader);
  if (!header)
    return header.status();
  Tensor tensor;
  tensor.type = header->type;
  tensor.shape = header->shape;
  Result<int64_t> count = countElements(tensor.shape);
  if (!count)
    return fileError(reader.name(), count.message());
  uint64_t width = byteWidth(tensor.type);
  if (static_cast<uint64_t>(*count) > reader.largestSize() / width)
    return fileError(reader.name(), "its header claims shape " + formatShape(tensor.shape) +
                                        " of " + name(tensor.type) + ", more than its " +
                                        std::to_string(reader.largestSize()) + " bytes can hold");
  if (Status status = reader.readInto(tensor.bytes, static_cast<uint64_t>(*count) * width, "data");
      !status)
    return status;
  if (Status status = reader.expectEnd(); !status)
    return status;
  if (header->swapBytes)
    reverseBytes(tensor);
  if (header->fortranOrder && tensor.shape.size() > 1 && *count != 0)
    transpose(tensor);
  return tensor;
}
