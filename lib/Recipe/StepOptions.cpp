//===- StepOptions.cpp - loss and optimizer of a training step ----------------===//
#include "nibble/Recipe/StepOptions.h"

#include "nibble/Recipe/OptionText.h"

using namespace nibble;

namespace {

const std::vector<std::string> lossNames = {"model", "softmax_cross_entropy", "mse", "bce"};
const std::vector<std::string> optimizerNames = {"sgd", "adam", "adamw"};

struct Option {
  const char *key;
  std::string (*set)(StepOptions &, const std::string &key, const std::string &value);
  std::string (*get)(const StepOptions &);
};

template <auto field, const std::vector<std::string> &names>
constexpr Option choice(const char *key) {
  return {key,
          [](StepOptions &o, const std::string &key, const std::string &value) {
            size_t index = 0;
            std::string error = text::parseChoice(key, value, names, index);
            if (error.empty())
              o.*field = static_cast<std::remove_reference_t<decltype(o.*field)>>(index);
            return error;
          },
          [](const StepOptions &o) { return names[static_cast<size_t>(o.*field)]; }};
}

/// A number from 0 up to 1 (exclusive: a momentum or β of 1 never forgets, smoothing of 1 knows no answer).
template <double StepOptions::*field> constexpr Option fraction(const char *key) {
  return {key,
          [](StepOptions &o, const std::string &key, const std::string &value) {
            return text::parseNumber(key, value, 0, 0x1.fffffffffffffp-1,
                                     "a number from 0 to below 1", o.*field);
          },
          [](const StepOptions &o) { return text::number(o.*field); }};
}

const Option options[] = {
    choice<&StepOptions::loss, lossNames>("loss"),
    choice<&StepOptions::optimizer, optimizerNames>("optimizer"),
    fraction<&StepOptions::momentum>("momentum"),
    {"nesterov",
     [](StepOptions &o, const std::string &key, const std::string &value) {
       return text::parseBool(key, value, o.nesterov);
     },
     [](const StepOptions &o) { return std::string(o.nesterov ? "true" : "false"); }},
    {"weight-decay",
     [](StepOptions &o, const std::string &key, const std::string &value) {
       return text::parseNumber(key, value, 0, 1e30, "a number from 0", o.weightDecay);
     },
     [](const StepOptions &o) { return text::number(o.weightDecay); }},
    fraction<&StepOptions::beta1>("beta1"),
    fraction<&StepOptions::beta2>("beta2"),
    {"adam-eps",
     [](StepOptions &o, const std::string &key, const std::string &value) {
       return text::parseNumber(key, value, 0x1p-126, 1e30, "a positive number (a normal f32)",
                                o.epsilon);
     },
     [](const StepOptions &o) { return text::number(o.epsilon); }},
    {"clip-norm",
     [](StepOptions &o, const std::string &key, const std::string &value) {
       return text::parseNumber(key, value, 0, 1e30, "a number from 0 (no limit)", o.clipNorm);
     },
     [](const StepOptions &o) { return text::number(o.clipNorm); }},
    fraction<&StepOptions::labelSmoothing>("label-smoothing"),
    {"accumulate",
     [](StepOptions &o, const std::string &key, const std::string &value) {
       double number = 1;
       std::string error =
           text::parseNumber(key, value, 1, 65536, "a whole number from 1 to 65536", number);
       if (error.empty() && number != static_cast<double>(static_cast<int64_t>(number)))
         error = "--" + key + ": a whole number from 1 to 65536 expected, found '" + value + "'";
       if (error.empty())
         o.accumulate = static_cast<int64_t>(number);
       return error;
     },
     [](const StepOptions &o) { return std::to_string(o.accumulate); }},
    {"calibrate",
     [](StepOptions &o, const std::string &key, const std::string &value) {
       return text::parseBool(key, value, o.calibrate);
     },
     [](const StepOptions &o) { return std::string(o.calibrate ? "true" : "false"); }},
};

} // namespace

std::string nibble::setStepOption(StepOptions &o, const std::string &key,
                                  const std::string &value) {
  std::vector<std::string> keys;
  for (const Option &option : options) {
    if (key == option.key)
      return option.set(o, key, value);
    keys.push_back(option.key);
  }
  return text::unknownKey(key, keys);
}

std::string nibble::toString(const StepOptions &o) {
  std::string result;
  for (const Option &option : options)
    result +=
        (result.empty() ? "" : ",") + std::string(option.key) + "=" + text::escape(option.get(o));
  return result;
}

std::optional<StepOptions> nibble::parseStepOptions(const std::string &text, std::string *error) {
  StepOptions result;
  for (auto &[key, value] : text::split(text))
    if (std::string wrong = setStepOption(result, key, value); !wrong.empty()) {
      if (error)
        *error = wrong;
      return std::nullopt;
    }
  return result;
}
