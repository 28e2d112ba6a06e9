//===- Csv.cpp - Tables of numbers as data sets ----------------------------------------===//
//
// A sample a line; cells separated by commas, semicolons or tabs (whichever the first line has most
// of), in quotes or not (RFC 4180, but a cell does not span lines). The first line is a head where
// a cell that is no answer is no number. Every cell is a finite number, but answers may be words:
// then classes are the words in the order of their bytes. One column of whole numbers or words:
// labels. Another column, or several: real targets.
//
//===----------------------------------------------------------------------===//

#include "Support.h"
#include "nibble/Runtime/DataSet.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>
#include <map>

using namespace nibble;
using namespace nibble::runtime;

namespace {

/// A line that does not end is no table: memory stays bounded.
constexpr size_t longestLine = size_t(1) << 24;
/// Each cell of a line is a string of its own for a while, thirty times a comma's size.
constexpr std::ptrdiff_t mostColumns = 1 << 20;

class Lines {
public:
  explicit Lines(const std::string &path)
      : path(path), file(path, std::ios::binary), buffer(1 << 16) {}

  /// The next line that is not blank, without its end; false at the end of the file.
  Result<bool> next(std::string &line) {
    for (;;) {
      line.clear();
      bool any = false;
      for (;;) {
        if (at == end && !refill())
          break;
        any = true;
        const char *begin = buffer.data() + at;
        const void *found = std::memchr(begin, '\n', end - at);
        size_t count =
            found ? static_cast<size_t>(static_cast<const char *>(found) - begin) : end - at;
        line.append(begin, count);
        at += count + (found ? 1 : 0);
        if (line.size() > longestLine)
          return fileError(path, "line " + std::to_string(number + 1) +
                                     " is longer than 16 MiB: not a table");
        if (found)
          break;
      }
      if (!any)
        return file.bad() ? Result<bool>(fileError(path, "cannot be read")) : Result<bool>(false);
      ++number;
      if (line.ends_with('\r'))
        line.pop_back();
      if (line.find_first_not_of(" \t") != std::string::npos)
        return true;
    }
  }

  size_t lineNumber() const { return number; }

private:
  bool refill() {
    file.read(buffer.data(), static_cast<std::streamsize>(buffer.size()));
    at = 0;
    end = static_cast<size_t>(file.gcount());
    return end > 0;
  }

  std::string path;
  std::ifstream file;
  std::vector<char> buffer;
  size_t at = 0, end = 0, number = 0;
};

char separatorOf(const std::string &line) {
  char best = ',';
  for (char c : {';', '\t'})
    if (std::count(line.begin(), line.end(), c) > std::count(line.begin(), line.end(), best))
      best = c;
  return best;
}

/// Splits a line; false where a quote is not closed.
bool splitLine(const std::string &line, char separator, std::vector<std::string> &cells) {
  cells.clear();
  std::string cell;
  bool quoted = false;
  for (size_t i = 0; i < line.size(); ++i) {
    char c = line[i];
    if (quoted && c == '"' && i + 1 < line.size() && line[i + 1] == '"')
      cell += line[++i];
    else if (c == '"')
      quoted = !quoted;
    else if (c == separator && !quoted)
      cells.push_back(std::move(cell)), cell.clear();
    else
      cell += c;
  }
  cells.push_back(std::move(cell));
  for (std::string &each : cells) {
    size_t first = each.find_first_not_of(' '), last = each.find_last_not_of(' ');
    each = first == std::string::npos ? std::string() : each.substr(first, last - first + 1);
  }
  return !quoted;
}

bool parseReal(const std::string &cell, double &value) {
  const char *begin = cell.data() + (cell.starts_with('+') ? 1 : 0),
             *end = cell.data() + cell.size();
  auto [last, code] = std::from_chars(begin, end, value);
  return begin != end && code == std::errc() && last == end && std::isfinite(value) &&
         std::fabs(value) <= std::numeric_limits<float>::max();
}

class Table {
public:
  Table(const std::string &path, const std::string &labelColumns)
      : path(path), lines(path), wanted(labelColumns) {}

  Result<DataSet> read() {
    std::string line;
    Result<bool> more = lines.next(line);
    if (!more)
      return more.status();
    if (!*more)
      return fileError(path, "is empty, or cannot be read");
    if (line.starts_with("\xEF\xBB\xBF")) // a byte order mark
      line.erase(0, 3);
    separator = separatorOf(line);
    if (Status status = split(line); !status)
      return status;
    width = cells.size();
    if (Status status = chooseColumns(); !status)
      return status;
    if (!isHead())
      if (Status status = addRow(); !status)
        return status;
    for (;;) {
      more = lines.next(line);
      if (!more)
        return more.status();
      if (!*more)
        break;
      if (Status status = split(line); !status)
        return status;
      if (Status status = addRow(); !status)
        return status;
    }
    return finish();
  }

private:
  Status split(const std::string &line) {
    if (std::count(line.begin(), line.end(), separator) >= mostColumns)
      return fileError(path, where() + " has more than 2^20 cells");
    if (!splitLine(line, separator, cells))
      return fileError(path, where() + ": a quote is not closed");
    return Status::success();
  }
  std::string where() const { return "line " + std::to_string(lines.lineNumber()); }
  std::string columnName(size_t column) const {
    return column < names.size() ? "column '" + names[column] + "'"
                                 : "column " + std::to_string(column + 1);
  }

  /// Finds the columns of the answers, from names or numbers.
  Status chooseColumns() {
    isAnswer.assign(width, false);
    if (width < 2)
      return fileError(path, "line 1 has one cell; expected a sample's numbers and its answer, "
                             "separated by commas, semicolons "
                             "or tabs");
    if (wanted.empty())
      answers = {width - 1};
    for (size_t begin = 0; begin < wanted.size();) {
      size_t end = std::min(wanted.find(',', begin), wanted.size());
      std::string name = wanted.substr(begin, end - begin);
      begin = end + 1;
      auto found = std::find(cells.begin(), cells.end(), name);
      size_t column = 0;
      auto [last, code] = std::from_chars(name.data(), name.data() + name.size(), column);
      bool isNumber = code == std::errc() && last == name.data() + name.size();
      if (found != cells.end() && !isNumber) {
        column = static_cast<size_t>(found - cells.begin()) + 1;
        hasHead = true;
      } else if (!isNumber || column < 1 || column > width) {
        return fileError(path, "--label-column: the first line has no cell '" + name +
                                   "', and columns are numbered from 1 to " +
                                   std::to_string(width));
      }
      answers.push_back(column - 1);
    }
    for (size_t column : answers)
      isAnswer[column] = true;
    if (std::count(isAnswer.begin(), isAnswer.end(), false) == 0)
      return fileError(path,
                       "--label-column names every column: no numbers are left for the samples");
    return Status::success();
  }

  bool isHead() {
    double ignored;
    for (size_t column = 0; column < width; ++column)
      hasHead |= !isAnswer[column] && !parseReal(cells[column], ignored);
    if (hasHead)
      names = cells;
    return hasHead;
  }

  Status addRow() {
    if (cells.size() != width)
      return fileError(path, where() + " has " + std::to_string(cells.size()) +
                                 " cells, the first line has " + std::to_string(width));
    for (size_t column = 0; column < width; ++column) {
      if (isAnswer[column])
        continue;
      double value;
      if (!parseReal(cells[column], value))
        return fileError(path, where() + ", " + columnName(column) + ": '" +
                                   cells[column].substr(0, 40) + "' is not a finite number");
      values.push_back(static_cast<float>(value));
    }
    for (size_t column : answers) {
      double value = 0;
      if (!parseReal(cells[column], value) && (answers.size() > 1 || cells[column].empty()))
        return fileError(path, where() + ", " + columnName(column) + ": '" +
                                   cells[column].substr(0, 40) + "' is not a finite number");
      if (answers.size() == 1 && !words)
        words = !parseReal(cells[column], value);
      answerValues.push_back(value);
      if (answers.size() == 1)
        answerWords.push_back(cells[column]);
    }
    ++rows;
    return Status::success();
  }

  Result<DataSet> finish() {
    if (rows == 0)
      return fileError(path, "has a first line with names, and no sample");
    DataSet set;
    set.path = path;
    set.origin = DataOrigin::Csv;
    auto samples = static_cast<int64_t>(rows), inputs = static_cast<int64_t>(values.size() / rows);
    fill(set.x, {samples, inputs}, values);
    bool whole = std::all_of(answerValues.begin(), answerValues.end(), [](double v) {
      return v == std::floor(v) && std::fabs(v) <= std::numeric_limits<int32_t>::max();
    });
    if (words)
      numberWords(set);
    else if (answers.size() == 1 && whole)
      set.labels.assign(answerValues.begin(), answerValues.end());
    if (words || (answers.size() == 1 && whole))
      return set;
    std::vector<int64_t> shape = {samples};
    if (answers.size() > 1)
      shape.push_back(static_cast<int64_t>(answers.size()));
    fill(set.targets, shape, std::vector<float>(answerValues.begin(), answerValues.end()));
    return set;
  }

  static void fill(Tensor &tensor, std::vector<int64_t> shape, const std::vector<float> &from) {
    tensor.type = DType::F32;
    tensor.shape = std::move(shape);
    tensor.bytes.resize(from.size() * sizeof(float));
    std::memcpy(tensor.bytes.data(), from.data(), tensor.bytes.size());
  }

  void numberWords(DataSet &set) {
    std::map<std::string, int32_t> numbers;
    for (const std::string &word : answerWords)
      numbers[word] = 0;
    for (auto &[word, number] : numbers) {
      number = static_cast<int32_t>(set.classNames.size());
      set.classNames.push_back(word);
    }
    for (const std::string &word : answerWords)
      set.labels.push_back(numbers[word]);
  }

  std::string path;
  Lines lines;
  std::string wanted;
  char separator = ',';
  std::vector<std::string> cells, names;
  size_t width = 0, rows = 0;
  std::vector<size_t> answers;
  std::vector<bool> isAnswer;
  bool hasHead = false, words = false;
  std::vector<float> values;
  std::vector<double> answerValues;
  std::vector<std::string> answerWords;
};

} // namespace

Result<DataSet> nibble::runtime::readCsv(const std::string &file, const std::string &labelColumns) {
  return guarded(file, [&]() -> Result<DataSet> {
    // Opening a pipe would wait for who writes into it.
    std::error_code problem;
    if (!std::filesystem::is_regular_file(file, problem))
      return fileError(file, problem ? problem.message() : "not a file");
    return Table(file, labelColumns).read();
  });
}
