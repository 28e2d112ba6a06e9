//===- Completion.h - shells complete a tool's command line ---------*- C++ -*-===//
#pragma once

#include "nibble/Driver/Options.h"

namespace nibble {

bool isShell(const std::string &name);

/// The script for bash, zsh or fish, made from the table of options: names, values where they are a
/// list, paths where they are files. Stock MLIR flags are left out, as in --help.
std::string completionScript(const std::string &shell, Tools tool);

} // namespace nibble
