//===- nibble-translate.cpp - files to and from MLIR --------------------------===//
#include "nibble/Import/Import.h"

#include "mlir/Tools/mlir-translate/MlirTranslateMain.h"

int main(int argc, char **argv) {
  nibble::registerImportOnnxTranslation();
  return mlir::failed(mlir::mlirTranslateMain(argc, argv, "Nibble's file translations"));
}
