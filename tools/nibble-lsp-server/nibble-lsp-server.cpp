//===- nibble-lsp-server.cpp - editors' view of IR files -----------------------===//
#include "mlir/Tools/mlir-lsp-server/MlirLspServerMain.h"

#include "nibble/Driver/Register.h"

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  nibble::registerAllDialects(registry);
  return mlir::failed(mlir::MlirLspServerMain(argc, argv, registry));
}
