//===- Decode.h - private to NibbleOnnx -----------------------------*- C++ -*-===//
#pragma once

#include "nibble/Import/OnnxGraph.h"

#include "onnx/onnx_pb.h"

#include <string>

namespace nibble::importer {

/// Elements of a TensorProto whose data is in the message. Throws std::runtime_error where its size
/// is not that of its shape.
HostTensor decodeTensor(const onnx::TensorProto &tensor);
/// Bytes of one element; 0 for types without a whole number of bytes.
int64_t elementBytes(int32_t dataType);
/// Bytes of `count` elements as ONNX packs them (4-bit types: two a byte); 0 for types that are not
/// read.
int64_t tensorBytes(int32_t dataType, int64_t count);

/// Moves the external data of the graph's initializers into the message. `folder` is the model's;
/// files outside it, and offsets and lengths outside the file, throw.
void readExternalData(onnx::ModelProto &model, const std::string &folder);

/// Sets float contents in the tensor's own type; throws where the type is not a floating one or the
/// count differs.
void encodeTensor(onnx::TensorProto &tensor, const std::vector<float> &values);

/// Replaces quantized constants, and the way of values through codes, by floats
/// (ReadQuantized.cpp). Returns a sentence about what was replaced; empty: there was nothing. Throws
/// where scales do not fit a tensor.
std::string readQuantized(onnx::ModelProto &model);

/// Quantizes operands (WriteQuantized.cpp); `values` holds what the constants are in f32. Throws.
void writeQuantized(onnx::ModelProto &model, const std::vector<QuantizedOperand> &operands,
                    const NewValues &values);
/// Batch normalization and dropout as they are after training.
void takeInferenceForm(onnx::GraphProto &graph);
/// Moves initializers out of the message into `data`, the contents of the file `location` beside the
/// model; each begins at a multiple of 64.
void moveToExternalData(onnx::ModelProto &model, const std::string &location, std::string &data);

/// Reads and parses the file (limits: 2 GiB less one byte, regular file). Throws.
void parseMessage(const std::string &path, google::protobuf::Message &message);
void parseModel(const std::string &path, onnx::ModelProto &model);

Node convertNode(const onnx::NodeProto &node);
ValueInfo convertValueInfo(const onnx::ValueInfoProto &info);

} // namespace nibble::importer
