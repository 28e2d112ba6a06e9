//===- ArtifactFields.h - a compiled model's fields as attributes ---*- C++ -*-===//
//
// One list of fields, visited by a writer (fields to a dictionary of attributes) and a reader (back). The structs are taken apart by
// structured bindings, which do not compile once a struct has another number of members: a member cannot be forgotten here.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "nibble/Driver/Compiler.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/DialectResourceBlobManager.h"

namespace nibble {

class FieldWriter;
class FieldReader;
template <typename Visitor> void visitRow(Visitor &v, PrecisionRow &row);
template <typename Visitor> void visitRow(Visitor &v, SavedValue &row);
template <typename Visitor> void visitRow(Visitor &v, Variable &row);

/// Fields to a dictionary.
class FieldWriter {
public:
  explicit FieldWriter(mlir::MLIRContext *context) : builder(context) {}

  template <typename T> void operator()(llvm::StringRef key, T &value) { fields.push_back(builder.getNamedAttr(key, attribute(value))); }
  mlir::DictionaryAttr take() { return builder.getDictionaryAttr(fields); }

private:
  template <typename T>
    requires(std::is_integral_v<T> || std::is_enum_v<T>)
  mlir::Attribute attribute(T value) {
    return builder.getI64IntegerAttr(static_cast<int64_t>(value));
  }
  mlir::Attribute attribute(const std::string &value) { return builder.getStringAttr(value); }
  mlir::Attribute attribute(mlir::RankedTensorType value) { return mlir::TypeAttr::get(value); }
  mlir::Attribute attribute(mlir::ElementsAttr value) { return value ? mlir::Attribute(value) : builder.getUnitAttr(); }
  mlir::Attribute attribute(const Recipe &value) { return builder.getStringAttr(toString(value)); }
  mlir::Attribute attribute(const StepOptions &value) { return builder.getStringAttr(toString(value)); }
  mlir::Attribute attribute(const std::map<std::string, std::vector<int64_t>> &value) {
    std::vector<mlir::NamedAttribute> entries;
    for (const auto &[key, numbers] : value)
      entries.push_back(builder.getNamedAttr("=" + key, attribute(numbers))); // a key must not be empty
    return builder.getDictionaryAttr(entries);
  }
  mlir::Attribute attribute(const ObjectBytes &value) {
    auto type = mlir::RankedTensorType::get({static_cast<int64_t>(value.size())}, builder.getI8Type());
    auto blob = mlir::HeapAsmResourceBlob::allocateAndCopyInferAlign(llvm::ArrayRef<char>(value));
    return mlir::DenseResourceElementsAttr::get(type, "nibble_object", std::move(blob));
  }
  template <typename T> mlir::Attribute attribute(const std::vector<T> &values) {
    std::vector<mlir::Attribute> elements;
    for (const T &value : values)
      if constexpr (std::is_integral_v<T> || std::is_same_v<T, std::string>) {
        elements.push_back(attribute(value));
      } else {
        FieldWriter row(builder.getContext());
        T copy = value;
        visitRow(row, copy);
        elements.push_back(row.take());
      }
    return builder.getArrayAttr(elements);
  }

  mlir::Builder builder;
  std::vector<mlir::NamedAttribute> fields;
};

/// A dictionary back to fields; `good` falls where one is missing or of another kind.
class FieldReader {
public:
  explicit FieldReader(mlir::DictionaryAttr fields) : good(bool(fields)), fields(fields) {}

  template <typename T> void operator()(llvm::StringRef key, T &value) {
    mlir::Attribute attribute = fields ? fields.get(key) : mlir::Attribute();
    good = good && attribute && read(attribute, value);
  }
  bool good;

private:
  template <typename T>
    requires(std::is_integral_v<T> || std::is_enum_v<T>)
  bool read(mlir::Attribute from, T &value) {
    auto number = mlir::dyn_cast<mlir::IntegerAttr>(from);
    if (number)
      value = static_cast<T>(number.getInt());
    return bool(number);
  }
  bool read(mlir::Attribute from, std::string &value) {
    auto text = mlir::dyn_cast<mlir::StringAttr>(from);
    if (text)
      value = text.str();
    return bool(text);
  }
  bool read(mlir::Attribute from, mlir::RankedTensorType &value) {
    auto type = mlir::dyn_cast<mlir::TypeAttr>(from);
    value = type ? mlir::dyn_cast<mlir::RankedTensorType>(type.getValue()) : mlir::RankedTensorType();
    return bool(value);
  }
  bool read(mlir::Attribute from, mlir::ElementsAttr &value) {
    value = mlir::dyn_cast<mlir::ElementsAttr>(from);
    return value || mlir::isa<mlir::UnitAttr>(from);
  }
  bool read(mlir::Attribute from, Recipe &value) {
    std::string text;
    std::optional<Recipe> recipe = read(from, text) ? parseRecipe(text) : std::nullopt;
    return recipe ? (value = *recipe, true) : false;
  }
  bool read(mlir::Attribute from, StepOptions &value) {
    std::string text;
    std::optional<StepOptions> options = read(from, text) ? parseStepOptions(text) : std::nullopt;
    return options ? (value = *options, true) : false;
  }
  bool read(mlir::Attribute from, std::map<std::string, std::vector<int64_t>> &value) {
    auto entries = mlir::dyn_cast<mlir::DictionaryAttr>(from);
    for (mlir::NamedAttribute entry : entries ? entries.getValue() : llvm::ArrayRef<mlir::NamedAttribute>())
      if (!read(entry.getValue(), value[entry.getName().getValue().drop_front().str()]))
        return false;
    return bool(entries);
  }
  bool read(mlir::Attribute from, ObjectBytes &value) {
    auto resource = mlir::dyn_cast<mlir::DenseResourceElementsAttr>(from);
    mlir::AsmResourceBlob *blob = resource ? resource.getRawHandle().getBlob() : nullptr;
    if (blob)
      value.assign(blob->getData().begin(), blob->getData().end());
    return blob;
  }
  template <typename T> bool read(mlir::Attribute from, std::vector<T> &values) {
    auto elements = mlir::dyn_cast<mlir::ArrayAttr>(from);
    for (mlir::Attribute element : elements ? elements.getValue() : llvm::ArrayRef<mlir::Attribute>()) {
      values.emplace_back();
      if constexpr (std::is_integral_v<T> || std::is_same_v<T, std::string>) {
        if (!read(element, values.back()))
          return false;
      } else {
        FieldReader row(mlir::dyn_cast<mlir::DictionaryAttr>(element));
        visitRow(row, values.back());
        if (!row.good)
          return false;
      }
    }
    return bool(elements);
  }

  mlir::DictionaryAttr fields;
};

//===----------------------------------------------------------------------===//
// The fields
//===----------------------------------------------------------------------===//

template <typename Visitor> void visitRow(Visitor &v, PrecisionRow &row) {
  auto &[layer, kind, product, present, left, right, bits, reason, multiplyAdds] = row;
  v("layer", layer), v("kind", kind), v("product", product), v("present", present), v("left", left), v("right", right), v("bits", bits);
  v("reason", reason), v("multiply_adds", multiplyAdds);
}

template <typename Visitor> void visitRow(Visitor &v, SavedValue &row) {
  auto &[name, type, bytes, ofWeight] = row;
  v("name", name), v("type", type), v("bytes", bytes), v("of_weight", ofWeight);
}

template <typename Visitor> void visitRow(Visitor &v, Variable &row) {
  auto &[name, role, trainable, type, offset, onnxName, layout, value] = row;
  v("name", name), v("role", role), v("trainable", trainable), v("type", type), v("offset", offset), v("onnx_name", onnxName);
  v("layout", layout), v("value", value);
}

/// What determines the program, but for the file, the machine and whether there are threads.
template <typename Visitor> void visitOptions(Visitor &v, CompileOptions &options) {
  auto &[model, import, recipe, step, mcpu, threads, leastWork, health, profile, optimization, cacheFolder] = options;
  v("recipe", recipe), v("step", step), v("mcpu", mcpu), v("least_work", leastWork), v("health", health), v("optimization", optimization);
  auto &[batchSize, shapes, sampleShape, train, freeze, input, output, classes, init, insertNorm, loss, seed] = import;
  v("batch_size", batchSize), v("shapes", shapes), v("sample_shape", sampleShape), v("train", train), v("freeze", freeze), v("input", input);
  v("output", output), v("classes", classes), v("init", init), v("insert_norm", insertNorm), v("loss", loss), v("seed", seed);
}

template <typename Visitor> void visitMachine(Visitor &v, Machine &machine) {
  auto &[triple, cpu, features, target, runsOnHost] = machine;
  v("triple", triple), v("cpu", cpu), v("features", features);
  auto &[name, vectorBits, vnni, bw, avxvnni, avx2, fma, dotprod] = target;
  v("target", name), v("vector_bits", vectorBits), v("avx512vnni", vnni), v("avx512bw", bw), v("avxvnni", avxvnni);
  v("avx2", avx2), v("fma", fma), v("dotprod", dotprod);
}

template <typename Visitor> void visitLayout(Visitor &v, StepLayout &layout) {
  auto &[input, answer, output, inputName, answerName, outputName, merged, classes, tokens, countsAnswers, microBatches, stateBytes, trainArena, evalArena, live,
         trainKeys, evalKeys] = layout;
  v("x", input), v("answer", answer), v("y", output), v("x_name", inputName), v("answer_name", answerName), v("y_name", outputName);
  v("merged", merged), v("outputs", classes), v("tokens", tokens), v("counts_answers", countsAnswers), v("micro_batches", microBatches), v("state_bytes", stateBytes), v("train_arena", trainArena);
  v("eval_arena", evalArena), v("live", live), v("train_keys", trainKeys), v("eval_keys", evalKeys);
}

/// What compiling found out; modules are the caller's.
template <typename Visitor> void visitModel(Visitor &v, CompiledModel &model) {
  v("threads", model.threads), v("notes", model.notes), v("weights", model.weights), v("precision", model.precision);
  visitMachine(v, model.machine);
  auto &[values, total] = model.saved;
  v("saved", values), v("saved_total", total);
  auto &[asFloat, asRead] = model.weightSize;
  v("weights_as_float", asFloat), v("weights_as_read", asRead);
  v("variables", model.variables), v("object", model.object);
  visitLayout(v, model.layout);
}

} // namespace nibble
