//===- nibble-train.cpp - trains an ONNX file ----------------------------------===//
#include "nibble/Driver/CommandLine.h"

int main(int argc, char **argv) { return nibble::nibbleTrainMain(argc, argv); }
