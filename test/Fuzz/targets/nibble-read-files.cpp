//===- nibble-read-files.cpp - many files from strangers, quickly ---------------===//
//
//   nibble-read-files [--seconds S] [--megabytes M] [--export DIR] < LIST
//
// LIST has a line a file: KIND, a tab, a number (variant), a tab, PATH; KIND is graph, planned,
// object (ONNX files, how far they are taken), data or checkpoint. A child process reads one file
// after the other; when it dies, hangs or grows the file is named and a new child goes on with the
// next. Prints a JSON object a file:
//   {"path", "accepted", "seconds", "megabytes", "text"}         it was read, or refused with a
//   text
//   {"path", "failure": "signal 11", "text": end of standard error}
// KIND abort, hang, grow and silent are for the test of this tool: they do what is named.
//
// A failure is: a signal, an exit, more than S (10) seconds of processor time or 6 S on the clock,
// a resident size above M (2000) MB, an error without a text. Exits with 1 if there was one.
//
//===----------------------------------------------------------------------===//
#include "Readers.h"

#include "llvm/Support/JSON.h"
#include "llvm/Support/raw_ostream.h"

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <iostream>
#include <poll.h>
#include <sstream>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

using namespace nibble::fuzz;
using Clock = std::chrono::steady_clock;

namespace {

struct Item {
  std::string kind, path;
  unsigned variant = 0;
};

struct Limits {
  double seconds = 10;
  double megabytes = 2000;
  std::string exportFolder;
};

double secondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// A field of /proc/PID/status in MB; 0 where it cannot be read.
double statusMegabytes(pid_t pid, const std::string &field) {
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with(field + ":"))
      return std::strtod(line.c_str() + field.size() + 1, nullptr) / 1024;
  return 0;
}

/// Processor seconds that a process has used: fields 14 and 15 of /proc/PID/stat, in clock ticks.
double processorSeconds(pid_t pid) {
  std::ifstream stat("/proc/" + std::to_string(pid) + "/stat");
  std::string line;
  std::getline(stat, line);
  size_t behindName = line.rfind(')');
  if (behindName == std::string::npos)
    return 0;
  std::istringstream fields(line.substr(behindName + 1));
  std::string word;
  double ticks = 0;
  for (int field = 3; field <= 15 && fields >> word; ++field)
    if (field >= 14)
      ticks += std::strtod(word.c_str(), nullptr);
  return ticks / static_cast<double>(sysconf(_SC_CLK_TCK));
}

/// What the test of this tool needs.
Answer misbehave(const std::string &kind) {
  if (kind == "abort")
    std::abort();
  std::vector<char> memory;
  for (volatile bool forever = true; forever && kind != "silent";)
    if (kind == "grow") // 100 MB at a time, until somebody notices
      memory.resize(std::min<size_t>(memory.size() + (100u << 20), size_t(3000) << 20), 1);
  return {};
}

Answer read(const Item &item, const std::string &exportFolder) {
  for (const char *kind : {"abort", "hang", "grow", "silent"})
    if (item.kind == kind)
      return misbehave(kind);
  if (item.kind == "data")
    return readData(item.path);
  if (item.kind == "checkpoint")
    return readCheckpoint(item.path);
  Depth depth = item.kind == "graph"    ? Depth::Graph
                : item.kind == "object" ? Depth::Object
                                        : Depth::Planned;
  return readModel(item.path, depth, item.variant, exportFolder);
}

//===----------------------------------------------------------------------===//
// The child
//===----------------------------------------------------------------------===//

/// Sets VmHWM back, so that it tells the peak of one file.
void resetPeak() { std::ofstream("/proc/self/clear_refs") << "5"; }

/// Reads items from `first` on; writes "INDEX\n" before and a line of JSON after each.
[[noreturn]] void work(const std::vector<Item> &items, size_t first, int out,
                       const Limits &limits) {
  for (size_t i = first; i < items.size(); ++i) {
    std::string begin = std::to_string(i) + "\n";
    if (write(out, begin.data(), begin.size()) < 0)
      _exit(125);
    // What an earlier file printed is of no interest; a failure shows the end of this one's.
    if (ftruncate(STDERR_FILENO, 0) == 0)
      lseek(STDERR_FILENO, 0, SEEK_SET);
    resetPeak();
    double before = processorSeconds(getpid());
    Answer answer = read(items[i], limits.exportFolder);
    llvm::json::Object line{{"path", items[i].path},
                            {"accepted", answer.accepted},
                            {"seconds", processorSeconds(getpid()) - before},
                            {"megabytes", statusMegabytes(getpid(), "VmHWM")},
                            {"text", llvm::json::fixUTF8(answer.text.substr(0, 300))}};
    std::string text;
    llvm::raw_string_ostream(text) << llvm::json::Value(std::move(line)) << "\n";
    if (write(out, text.data(), text.size()) < 0)
      _exit(125);
  }
  _exit(0);
}

//===----------------------------------------------------------------------===//
// The parent
//===----------------------------------------------------------------------===//

class Supervisor {
public:
  Supervisor(std::vector<Item> items, const Limits &limits)
      : items(std::move(items)), limits(limits) {
    errors = memfd_create("stderr", 0);
  }

  int run() {
    while (next < items.size())
      watch();
    return failures ? 1 : 0;
  }

private:
  /// One child, until it ends.
  void watch() {
    int ends[2];
    if (errors < 0 || pipe2(ends, O_CLOEXEC) != 0)
      std::exit(125);
    std::fflush(stdout);
    current = next;
    pid_t child = fork();
    if (child == 0) {
      int nothing = open("/dev/null", O_RDWR);
      dup2(nothing, STDIN_FILENO);
      dup2(nothing, STDOUT_FILENO);
      dup2(errors, STDERR_FILENO);
      rlimit none{0, 0};
      setrlimit(RLIMIT_CORE, &none);
      work(items, next, ends[1], limits);
    }
    close(ends[1]);
    std::string verdict = child < 0 ? "no process" : follow(child, ends[0]);
    close(ends[0]);
    int status = 0;
    if (child > 0)
      waitpid(child, &status, 0);
    if (next >= items.size() && verdict.empty() && WIFEXITED(status) && WEXITSTATUS(status) == 0)
      return;
    if (verdict.empty())
      verdict = WIFSIGNALED(status) ? "signal " + std::to_string(WTERMSIG(status))
                                    : "exit code " + std::to_string(WEXITSTATUS(status));
    fail(items[std::min(current, items.size() - 1)], verdict, standardError());
    next = current + 1;
  }

  /// Reads what the child says until it is done or has to be killed; says why in the second case.
  std::string follow(pid_t child, int in) {
    std::string pending;
    Clock::time_point start = Clock::now();
    double processor = 0;
    for (;;) {
      pollfd wait{in, POLLIN, 0};
      int ready = poll(&wait, 1, 50);
      char buffer[4096];
      ssize_t count = ready > 0 ? ::read(in, buffer, sizeof buffer) : -1;
      if (ready > 0 && count <= 0)
        return "";
      if (count > 0)
        pending.append(buffer, static_cast<size_t>(count));
      for (size_t end; (end = pending.find('\n')) != std::string::npos; pending.erase(0, end + 1)) {
        take(pending.substr(0, end));
        start = Clock::now();
        processor = processorSeconds(child);
      }
      if (ready > 0)
        continue;
      std::string reason;
      if (processorSeconds(child) - processor > limits.seconds ||
          secondsSince(start) > 6 * limits.seconds)
        reason = "time";
      else if (statusMegabytes(child, "VmRSS") > limits.megabytes)
        reason = "memory";
      if (reason.empty())
        continue;
      kill(child, SIGKILL);
      return reason;
    }
  }

  /// A line of the child: it begins with `current`, or it is done with it.
  void take(const std::string &line) {
    if (!line.starts_with("{")) {
      current = std::strtoul(line.c_str(), nullptr, 10);
      return;
    }
    next = current + 1;
    auto parsed = llvm::json::parse(line);
    const llvm::json::Object *object = parsed ? parsed->getAsObject() : nullptr;
    if (!parsed)
      llvm::consumeError(parsed.takeError());
    if (object && object->getNumber("megabytes").value_or(0) > limits.megabytes)
      return fail(items[current], "memory", line);
    if (object && !object->getBoolean("accepted").value_or(true) &&
        object->getString("text").value_or("").empty())
      return fail(items[current], "refused without a word", line);
    std::puts(line.c_str());
  }

  void fail(const Item &item, const std::string &what, const std::string &text) {
    ++failures;
    std::string line;
    llvm::raw_string_ostream(line) << llvm::json::Value(llvm::json::Object{
        {"path", item.path}, {"failure", what}, {"text", llvm::json::fixUTF8(text)}});
    std::puts(line.c_str());
    std::fflush(stdout);
  }

  /// The first and last pieces of what the child wrote to standard error.
  std::string standardError() {
    off_t size = lseek(errors, 0, SEEK_END);
    std::string text(static_cast<size_t>(std::max<off_t>(size, 0)), '\0');
    if (pread(errors, text.data(), text.size(), 0) < 0)
      text.clear();
    if (text.size() > 6000)
      text = text.substr(0, 4000) + "\n...\n" + text.substr(text.size() - 2000);
    return text;
  }

  std::vector<Item> items;
  Limits limits;
  int errors = -1;
  size_t next = 0, current = 0;
  int failures = 0;
};

} // namespace

int main(int argc, char **argv) {
  Limits limits;
  for (int i = 1; i + 1 < argc; i += 2) {
    std::string option = argv[i];
    if (option == "--seconds")
      limits.seconds = std::strtod(argv[i + 1], nullptr);
    else if (option == "--megabytes")
      limits.megabytes = std::strtod(argv[i + 1], nullptr);
    else if (option == "--export")
      limits.exportFolder = argv[i + 1];
  }
  std::vector<Item> items;
  for (std::string line; std::getline(std::cin, line);) {
    size_t first = line.find('\t'), second = line.find('\t', first + 1);
    if (first == std::string::npos || second == std::string::npos) {
      llvm::errs()
          << "error: a line of the list is KIND, variant and PATH, with tabs between them\n";
      return 2;
    }
    items.push_back({line.substr(0, first), line.substr(second + 1),
                     static_cast<unsigned>(std::strtoul(line.c_str() + first + 1, nullptr, 10))});
  }
  return Supervisor(std::move(items), limits).run();
}
