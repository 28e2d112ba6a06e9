//===- ModelMutator.cpp - libFuzzer mutates messages, not bytes --------------------===//
//
// Random bytes seldom are an ONNX file. Three mutations of four parse the input, change fields of
// it by reflection (a number, a name that occurs elsewhere, a message repeated, removed or copied
// from another place) and write it again; the fourth is libFuzzer's own.
//
//===----------------------------------------------------------------------===//
#include "onnx/onnx_pb.h"

#include <google/protobuf/message.h>

#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <vector>

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

extern "C" size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t maxSize);

namespace {

class Mutator {
public:
  Mutator(onnx::ModelProto &model, unsigned seed) : random(seed) {
    collect(model);
    for (const auto &node : model.graph().node()) {
      for (const std::string &name : node.input())
        names.push_back(name);
      for (const std::string &name : node.output())
        names.push_back(name);
      names.push_back(node.op_type());
    }
  }

  void mutate() {
    Message &message = *messages[pick(messages.size())];
    const Reflection &reflection = *message.GetReflection();
    std::vector<const FieldDescriptor *> fields;
    reflection.ListFields(message, &fields);
    if (fields.empty() || pick(5) == 0)
      fields = {message.GetDescriptor()->field(
          static_cast<int>(pick(message.GetDescriptor()->field_count())))};
    const FieldDescriptor *field = fields[pick(fields.size())];
    if (field->is_repeated())
      mutateRepeated(message, reflection, field);
    else if (pick(8) == 0)
      reflection.ClearField(&message, field);
    else if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE)
      become(another(field), [&] { return reflection.MutableMessage(&message, field); });
    else
      setScalar(message, reflection, field, -1);
  }

private:
  size_t pick(size_t count) { return count ? random() % count : 0; }

  void collect(Message &message) {
    if (messages.size() > 4000)
      return;
    messages.push_back(&message);
    const Reflection &reflection = *message.GetReflection();
    std::vector<const FieldDescriptor *> fields;
    reflection.ListFields(message, &fields);
    for (const FieldDescriptor *field : fields) {
      if (field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE)
        continue;
      if (!field->is_repeated())
        collect(*reflection.MutableMessage(&message, field));
      for (int i = 0; field->is_repeated() && i < reflection.FieldSize(message, field); ++i)
        collect(*reflection.MutableRepeatedMessage(&message, field, i));
    }
  }

  /// The bytes of some message of the field's type; empty where there is none.
  std::string another(const FieldDescriptor *field) {
    std::vector<Message *> similar;
    for (Message *message : messages)
      if (message->GetDescriptor() == field->message_type())
        similar.push_back(message);
    return similar.empty() ? "" : similar[pick(similar.size())]->SerializePartialAsString();
  }

  /// `place` may free what `messages` points to (another member of a oneof), so it comes last.
  template <typename Place> static void become(const std::string &bytes, Place place) {
    place()->ParsePartialFromString(bytes);
  }

  void mutateRepeated(Message &message, const Reflection &reflection,
                      const FieldDescriptor *field) {
    int size = reflection.FieldSize(message, field);
    bool isMessage = field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE;
    int at = static_cast<int>(pick(static_cast<size_t>(size)));
    switch (size == 0 ? 3 : pick(5)) {
    case 0:
      return reflection.RemoveLast(&message, field);
    case 1:
      return reflection.SwapElements(&message, field, at,
                                     static_cast<int>(pick(static_cast<size_t>(size))));
    case 2:
      return reflection.ClearField(&message, field);
    case 3:
      if (isMessage)
        return become(another(field), [&] { return reflection.AddMessage(&message, field); });
      return addScalar(message, reflection, field);
    default:
      if (isMessage)
        return become(another(field),
                      [&] { return reflection.MutableRepeatedMessage(&message, field, at); });
      setScalar(message, reflection, field, at);
    }
  }

  int64_t integer() {
    static constexpr int64_t numbers[] = {-1,
                                          0,
                                          1,
                                          2,
                                          3,
                                          4,
                                          7,
                                          8,
                                          255,
                                          65536,
                                          int64_t(1) << 31,
                                          int64_t(1) << 32,
                                          int64_t(1) << 62,
                                          INT64_MAX,
                                          INT64_MIN};
    return pick(3) == 0 ? static_cast<int64_t>(random()) : numbers[pick(std::size(numbers))];
  }
  double real() {
    static constexpr double numbers[] = {0,
                                         -0.0,
                                         1,
                                         -1,
                                         0.5,
                                         1e-40,
                                         3e38,
                                         std::numeric_limits<double>::infinity(),
                                         std::numeric_limits<double>::quiet_NaN()};
    return numbers[pick(std::size(numbers))];
  }
  std::string text() {
    static const char *const texts[] = {"",     "x",       "axis",     "value", "Gemm", "Conv",
                                        "Relu", "Reshape", "Constant", "If",    "local"};
    if (!names.empty() && pick(3) != 0)
      return names[pick(names.size())];
    return texts[pick(std::size(texts))];
  }

/// Sets element `at` (-1: the field itself) with the accessor that the type wants.
#define NIBBLE_SET(KIND, VALUE)                                                                    \
  (at < 0 ? reflection.Set##KIND(&message, field, VALUE)                                           \
          : reflection.SetRepeated##KIND(&message, field, at, VALUE))
  void setScalar(Message &message, const Reflection &reflection, const FieldDescriptor *field,
                 int at) {
    switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return NIBBLE_SET(Int32, static_cast<int32_t>(integer()));
    case FieldDescriptor::CPPTYPE_INT64:
      return NIBBLE_SET(Int64, integer());
    case FieldDescriptor::CPPTYPE_UINT32:
      return NIBBLE_SET(UInt32, static_cast<uint32_t>(integer()));
    case FieldDescriptor::CPPTYPE_UINT64:
      return NIBBLE_SET(UInt64, static_cast<uint64_t>(integer()));
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return NIBBLE_SET(Double, real());
    case FieldDescriptor::CPPTYPE_FLOAT:
      return NIBBLE_SET(Float, static_cast<float>(real()));
    case FieldDescriptor::CPPTYPE_BOOL:
      return NIBBLE_SET(Bool, pick(2) == 0);
    case FieldDescriptor::CPPTYPE_ENUM:
      return NIBBLE_SET(EnumValue,
                        field->enum_type()
                            ->value(static_cast<int>(pick(field->enum_type()->value_count())))
                            ->number());
    case FieldDescriptor::CPPTYPE_STRING:
      return NIBBLE_SET(String, field->type() == FieldDescriptor::TYPE_BYTES && pick(2)
                                    ? std::string(pick(64), '?')
                                    : text());
    default:
      return;
    }
  }
#undef NIBBLE_SET

  void addScalar(Message &message, const Reflection &reflection, const FieldDescriptor *field) {
    switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return reflection.AddInt32(&message, field, static_cast<int32_t>(integer()));
    case FieldDescriptor::CPPTYPE_INT64:
      return reflection.AddInt64(&message, field, integer());
    case FieldDescriptor::CPPTYPE_UINT64:
      return reflection.AddUInt64(&message, field, static_cast<uint64_t>(integer()));
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return reflection.AddDouble(&message, field, real());
    case FieldDescriptor::CPPTYPE_FLOAT:
      return reflection.AddFloat(&message, field, static_cast<float>(real()));
    case FieldDescriptor::CPPTYPE_STRING:
      return reflection.AddString(&message, field, text());
    default:
      return;
    }
  }

  std::minstd_rand random;
  std::vector<Message *> messages;
  std::vector<std::string> names;
};

} // namespace

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t maxSize,
                                          unsigned seed) {
  onnx::ModelProto model;
  if (seed % 4 == 0 || !model.ParsePartialFromArray(data, static_cast<int>(size)))
    return LLVMFuzzerMutate(data, size, maxSize);
  for (unsigned round = 0; round <= seed / 4 % 3; ++round)
    Mutator(model, seed + round).mutate();
  std::string bytes = model.SerializePartialAsString();
  if (bytes.empty() || bytes.size() > maxSize)
    return LLVMFuzzerMutate(data, size, maxSize);
  std::copy(bytes.begin(), bytes.end(), data);
  return bytes.size();
}
