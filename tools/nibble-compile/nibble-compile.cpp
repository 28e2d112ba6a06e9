//===- nibble-compile.cpp - from an ONNX file to any stage of its compilation --===//
#include "nibble/Driver/CommandLine.h"

int main(int argc, char **argv) { return nibble::nibbleCompileMain(argc, argv); }
