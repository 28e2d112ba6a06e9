//===- Completion.cpp - shells complete a tool's command line ------------------------===//
#include "nibble/Driver/Completion.h"

#include "nibble/Codegen/CPU/CpuTarget.h"

#include "llvm/ADT/StringExtras.h"

using namespace nibble;

bool nibble::isShell(const std::string &name) {
  return name == "bash" || name == "zsh" || name == "fish";
}

//===----------------------------------------------------------------------===//
// What an option takes
//===----------------------------------------------------------------------===//

static std::vector<std::string> words(llvm::StringRef text, llvm::StringRef separator) {
  llvm::SmallVector<llvm::StringRef> parts;
  text.split(parts, separator, -1, /*KeepEmpty=*/false);
  return {parts.begin(), parts.end()};
}

/// The values that can be listed: the words of "sgd|adam|adamw" (placeholders are in capitals), and
/// names that the compiler knows.
static std::vector<std::string> valuesOf(const ToolOption &option) {
  if (option.name == "recipe")
    return recipeNames();
  if (option.name == "emit")
    return words(emitNames(), ", ");
  if (option.name == "stop-after")
    return {"Import", "Differentiate", "Quantize", "Schedule", "Codegen", "Target"};
  if (option.name == "mcpu")
    return words(CpuTarget::listOfNames(), ", ");
  if (option.metavar == "0..3")
    return {"0", "1", "2", "3"};
  std::vector<std::string> values;
  for (std::string &word : words(option.metavar, "|"))
    if (option.metavar.find('|') != std::string::npos && llvm::StringRef(word).lower() == word)
      values.push_back(word);
  return values;
}

namespace {
enum class Takes { Nothing, File, Folder, Values, Text };
}

static Takes takes(const ToolOption &option) {
  if (option.metavar.empty())
    return Takes::Nothing;
  if (option.metavar == "FILE" || option.metavar == "[FILE]" || option.metavar == "PATH")
    return Takes::File;
  if (option.metavar == "DIR")
    return Takes::Folder;
  return valuesOf(option).empty() ? Takes::Text : Takes::Values;
}

/// The value may be left out, and then only "=" brings it.
static bool isOptional(const ToolOption &option) {
  return llvm::StringRef(option.metavar).starts_with("[");
}

static std::string dashed(const ToolOption &option) {
  return (option.name.size() == 1 ? "-" : "--") + option.name;
}

static std::vector<const ToolOption *> optionsOf(Tools tool) {
  std::vector<const ToolOption *> shown;
  for (const ToolOption &option : toolOptions())
    if ((option.tools & tool) && !option.hidden)
      shown.push_back(&option);
  return shown;
}

static const char *commandOf(Tools tool) {
  return tool == TrainTool ? "nibble-train" : "nibble-compile";
}

/// 'text' for a shell.
static std::string quoted(llvm::StringRef text) {
  std::string out = "'";
  for (char c : text)
    out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

//===----------------------------------------------------------------------===//
// bash
//===----------------------------------------------------------------------===//

/// Names of all options that take the same, as a pattern of `case`.
static std::string bashPattern(Tools tool, Takes what) {
  std::vector<std::string> patterns;
  for (const ToolOption *option : optionsOf(tool))
    if (takes(*option) == what)
      patterns.push_back(dashed(*option) +
                         (isOptional(*option) ? "=" : "|" + dashed(*option) + "="));
  return llvm::join(patterns, "|");
}

static std::string bashScript(Tools tool) {
  std::string function = tool == TrainTool ? "_nibble_train" : "_nibble_compile", names, cases;
  for (const ToolOption *option : optionsOf(tool)) {
    bool wantsValue =
        takes(*option) != Takes::Nothing && option->name.size() > 1 && !isOptional(*option);
    names += " " + dashed(*option) + (wantsValue ? "=" : "");
    if (takes(*option) == Takes::Values)
      cases += "    " + dashed(*option) + "|" + dashed(*option) + "=) COMPREPLY=($(compgen -W " +
               quoted(llvm::join(valuesOf(*option), " ")) + " -- \"$cur\")); return;;\n";
  }
  auto paths = [&](Takes what, const char *flag) {
    std::string pattern = bashPattern(tool, what);
    if (!pattern.empty())
      cases += "    " + pattern + ") compopt -o filenames; IFS=$'\\n'; COMPREPLY=($(compgen " +
               flag + " -- \"$cur\")); return;;\n";
  };
  paths(Takes::File, "-f");
  paths(Takes::Folder, "-d");
  if (std::string pattern = bashPattern(tool, Takes::Text); !pattern.empty())
    cases += "    " + pattern + ") return;;\n";
  // bash splits --recipe=ibm into three words.
  return "# " + std::string(commandOf(tool)) + " --completion=bash\n" + function + R"(() {
  local cur=${COMP_WORDS[COMP_CWORD]} option=${COMP_WORDS[COMP_CWORD-1]} IFS=$' \t\n'
  if [[ $cur == = ]]; then cur='' option+='='
  elif [[ $option == = ]]; then option=${COMP_WORDS[COMP_CWORD-2]}=; fi
  COMPREPLY=()
  case $option in
)" + cases +
         R"(  esac
  if [[ $cur == -* ]]; then
    COMPREPLY=($(compgen -W ')" +
         names.substr(1) + R"( --help' -- "$cur"))
    if [[ ${COMPREPLY[0]-} == *= ]]; then compopt -o nospace; fi
  else
    compopt -o filenames
    IFS=$'\n'
    COMPREPLY=($(compgen -f -X '!*.onnx' -- "$cur") $(compgen -d -- "$cur"))
  fi
}
complete -F )" +
         function + " " + commandOf(tool) + "\n";
}

//===----------------------------------------------------------------------===//
// zsh
//===----------------------------------------------------------------------===//

/// Text within [brackets] of an _arguments specification.
static std::string zshHelp(llvm::StringRef text) {
  std::string out;
  for (char c : text) {
    if (c == '[' || c == ']' || c == ':' || c == '\\')
      out += '\\';
    out += c;
  }
  return out;
}

static std::string zshAction(const ToolOption &option) {
  switch (takes(option)) {
  case Takes::File:
    return "_files";
  case Takes::Folder:
    return "_files -/";
  case Takes::Values:
    return "(" + llvm::join(valuesOf(option), " ") + ")";
  default:
    return " ";
  }
}

static std::string zshScript(Tools tool) {
  std::string out = "#compdef " + std::string(commandOf(tool)) + "\n# " + commandOf(tool) +
                    " --completion=zsh\n_arguments \\\n";
  for (const ToolOption *option : optionsOf(tool)) {
    std::string spec = (option->repeats ? "*" : "") + dashed(*option);
    if (takes(*option) != Takes::Nothing)
      spec += option->name.size() == 1 ? "+" : isOptional(*option) ? "=-" : "=";
    spec += "[" + zshHelp(option->help) + "]";
    if (takes(*option) != Takes::Nothing)
      spec += std::string(isOptional(*option) ? "::" : ":") + zshHelp(option->metavar) + ":" +
              zshAction(*option);
    out += "  " + quoted(spec) + " \\\n";
  }
  return out + "  '--help[list the options]' \\\n  '1:network:_files -g \"*.onnx\"'\n";
}

//===----------------------------------------------------------------------===//
// fish
//===----------------------------------------------------------------------===//

static std::string fishQuoted(llvm::StringRef text) {
  std::string out = "'";
  for (char c : text) {
    if (c == '\'' || c == '\\')
      out += '\\';
    out += c;
  }
  return out + "'";
}

static std::string fishScript(Tools tool) {
  std::string command = commandOf(tool), out = "# " + command + " --completion=fish\n";
  out += "complete -c " + command + " -f -a '(__fish_complete_suffix .onnx)'\n";
  for (const ToolOption *option : optionsOf(tool)) {
    out += "complete -c " + command + (option->name.size() == 1 ? " -s " : " -l ") + option->name;
    switch (takes(*option)) {
    case Takes::Nothing:
      break;
    case Takes::File:
      out += isOptional(*option) ? " -F" : " -r -F";
      break;
    case Takes::Folder:
      out += " -x -a '(__fish_complete_directories)'";
      break;
    case Takes::Values:
      out += " -x -a " + fishQuoted(llvm::join(valuesOf(*option), " "));
      break;
    case Takes::Text:
      out += isOptional(*option) ? "" : " -x";
      break;
    }
    out += " -d " + fishQuoted(option->help) + "\n";
  }
  return out + "complete -c " + command + " -l help -d 'list the options'\n";
}

std::string nibble::completionScript(const std::string &shell, Tools tool) {
  return shell == "zsh" ? zshScript(tool) : shell == "fish" ? fishScript(tool) : bashScript(tool);
}
