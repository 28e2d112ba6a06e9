//===- nibble-opt.cpp - runs passes and rooms on IR files --------------------===//
#include "mlir/Tools/mlir-opt/MlirOptMain.h"

#include "nibble/Driver/Register.h"

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  nibble::registerAllDialects(registry);
  nibble::registerAllPasses();
  return mlir::asMainReturnCode(mlir::MlirOptMain(argc, argv, "Nibble optimizer: runs any pass or room on IR\n", registry));
}
