//===- TrainMain.cpp - nibble-train ---------------------------------------------------===//
#include "nibble/Driver/CommandLine.h"
#include "nibble/Driver/TrainSession.h"

#include "ReportOptions.h"

#include "llvm/Support/raw_ostream.h"

using namespace nibble;

static const char *overview = R"(Trains an ONNX network in four bits

EXAMPLES
  nibble-train lenet.onnx --data mnist/ --epochs 4 --batch-size 128 --lr 0.05 --out trained
      the default recipe, ibm; the trained network ends in trained/model.onnx
  nibble-train lenet.onnx --data mnist/ --recipe f32 --epochs 4 --out float
      the same in float, to compare with
  nibble-train net.onnx --data cifar-10-batches-bin/ --normalize auto --recipe luq --keep-float='stem|head' \
               --optimizer adamw --lr 1e-3 --weight-decay 0.01 --schedule cosine --warmup 200 --out trained --log run.jsonl
  nibble-train net.onnx --data my.npz --classes 5 --freeze='^features' --out trained
      a fresh head for five classes on frozen features
  nibble-train lenet.onnx --data mnist/ --epochs 4 --out trained --resume
      go on where the run in trained/ was interrupted, bit for bit (or begin, where there is none): the same options, and --resume
  nibble-train lenet.onnx --data mnist/ --epochs 4 --out trained --report --baseline float/log.jsonl
      trained/report.html shows while it trains whether four bits work here, next to the float run; --report-from LOG makes the
      page of any log
  nibble-train trained/model.onnx --data mnist/ --recipe f32 --eval-only
      only the score on the test part
  nibble-train lenet.onnx --data mnist/ --eval-only --checkpoint trained/best.safetensors
      the score of a checkpoint

DATA  an IDX folder (MNIST's files, .gz or not; t10k is the validation part), a CIFAR-10 binary folder, or .npz with x and y
      (x_train, y_train, x_test, y_test)

OUTPUT  DIR/checkpoints/step-000000.safetensors, … (the newest three), DIR/best.safetensors, DIR/last.safetensors; at the end
      DIR/model.onnx. One run at a time works in a folder

EXIT CODES  0 trained, 1 error, 2 wrong usage, 3 the loss or a gradient became NaN or infinite, 130 and 143 ended by SIGINT or SIGTERM
      with a checkpoint
)";

int nibble::nibbleTrainMain(int argc, char **argv) {
  ToolOptions options;
  if (std::optional<int> code = parseCommandLine(argc, argv, TrainTool, overview, options))
    return *code;
  if (!options.report.fromLog.empty()) {
    Status status = writeReportFromLog(options, llvm::outs());
    if (!status)
      printError(status);
    return status ? ExitOk : ExitError;
  }
  defaultLog(options);
  TrainOutcome outcome;
  Status status = runTraining(options, commandLineHooks(options), llvm::outs(), outcome);
  llvm::outs().flush();
  if (status)
    return outcome.signal ? 128 + outcome.signal : ExitOk;
  printError(status);
  return outcome.diverged ? ExitDiverged : ExitError;
}
