//===- Status.h - Success or a message --------------------------*- C++ -*-===//
//
// What every public function of the runtime returns: nothing in this library throws or aborts on
// bad input. A message is a whole sentence for the person who can act: it names the file, sample or
// layer, what was found and what was expected.
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_RUNTIME_STATUS_H
#define NIBBLE_RUNTIME_STATUS_H

#include <optional>
#include <string>
#include <utility>

namespace nibble {

/// Success, or an error with a message. Converts to bool like a question "is it good?": `if
/// (!status)`.
class [[nodiscard]] Status {
public:
  /// Success.
  Status() = default;

  static Status success() { return Status(); }
  static Status error(std::string message) {
    Status status;
    status.text = std::move(message);
    return status;
  }

  bool ok() const { return !text.has_value(); }
  explicit operator bool() const { return ok(); }

  /// The message; empty on success.
  const std::string &message() const {
    static const std::string none;
    return text ? *text : none;
  }

private:
  std::optional<std::string> text;
};

/// A value, or an error with a message. `value()` and `*` may be used only when `ok()`.
template <typename T> class [[nodiscard]] Result {
public:
  Result(T value) : held(std::move(value)) {}
  /// Takes over the error. (A successful Status holds no value; it becomes an error that says so.)
  Result(Status status)
      : failure(status.ok() ? Status::error("internal: a result without a value")
                            : std::move(status)) {}

  bool ok() const { return held.has_value(); }
  explicit operator bool() const { return ok(); }

  const Status &status() const { return failure; }
  const std::string &message() const { return failure.message(); }

  T &value() & { return *held; }
  const T &value() const & { return *held; }
  T &&value() && { return std::move(*held); }
  T &operator*() & { return *held; }
  const T &operator*() const & { return *held; }
  T &&operator*() && { return std::move(*held); }
  T *operator->() { return &*held; }
  const T *operator->() const { return &*held; }

private:
  std::optional<T> held;
  Status failure;
};

} // namespace nibble

#endif // NIBBLE_RUNTIME_STATUS_H
