//===- CommandLine.h - the table of options as a command line -------*- C++ -*-===//
#pragma once

#include "nibble/Driver/Options.h"

#include <optional>

namespace nibble {

/// What a tool's main returns. nibble-train ended by a signal returns 128 + its number, as shells do: 130 (SIGINT), 143 (SIGTERM).
enum ExitCode : int { ExitOk = 0, ExitError = 1, ExitUsage = 2, ExitDiverged = 3 };

/// Parses a command line of `tool` (MLIR's stock flags included) into options; `overview` opens --help. Prints what is wrong and
/// returns the exit code where the tool has to end.
std::optional<int> parseCommandLine(int argc, char **argv, Tools tool, const char *overview, ToolOptions &options);

/// "error: …" a line on standard error.
void printError(const Status &status);

/// A pass manager as MLIR's stock flags ask for it.
CompileHooks commandLineHooks(const ToolOptions &options);

/// The tools.
int nibbleCompileMain(int argc, char **argv);
int nibbleTrainMain(int argc, char **argv);

} // namespace nibble
