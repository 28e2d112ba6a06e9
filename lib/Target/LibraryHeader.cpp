//===- LibraryHeader.cpp - the C header of a library -----------------------------===//
#include "nibble/Target/Features.h"
#include "nibble/Target/Library.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/raw_ostream.h"

using namespace nibble;

std::string nibble::libraryName(llvm::StringRef text) {
  std::string name;
  for (char letter : text)
    name += llvm::isAlnum(letter) ? letter : '_';
  if (name.empty() || llvm::isDigit(name.front()))
    name = "model_" + name;
  return name;
}

namespace {

// In the texts below, @ is the model's name, ^ the same in capitals, % the type of labels or targets and ~ their name.

const char *const kErrors = R"(
/* What functions return; @_error_text says it in words. Every error leaves the network as it was. */
enum {
  ^_OK = 0,
  ^_NONFINITE = 1,        /* train_step: the loss, a gradient or a quantizer's input is NaN or infinite */
  ^_BAD_ARGUMENT = 2,     /* null, not aligned, or out of range */
  ^_BAD_LABEL = 3,        /* below 0, or not below the number of classes */
  ^_NO_MEMORY = 4,
  ^_WRONG_PROCESSOR = 5,  /* init: the processor lacks instructions that the library was compiled for */
  ^_CANNOT_OPEN = 6,      /* load */
  ^_CANNOT_WRITE = 7,     /* save: folder, permission or space; an older file of that name is as it was */
  ^_NOT_A_STATE = 8,      /* load: not a file that save made */
  ^_OTHER_VERSION = 9,    /* load: in a format of another version */
  ^_OTHER_MODEL = 10,     /* load: of another model, or of this one compiled with another recipe or optimizer */
  ^_DAMAGED = 11          /* load: cut off, or its check sum is wrong */
};
const char *@_error_text(int error);

/* One network in training. Any number of them can live in a process, each with its own number of threads. One network must not
   be used by two threads at once. */
typedef struct @_network @_network;
)";

const char *const kLife = R"(
/* Makes a network with the model's initial weights. `state` (@_state_size bytes) holds all that training changes, `workspace`
   (@_workspace_size bytes) everything else, the @_network itself included; both aligned to @_alignment bytes and the caller's
   to free after the network's last use. A null pointer lets init allocate that part, and @_free frees it. `threads` is the size
   of the team that runs a step, 0 for all processors; results do not depend on it (a library compiled with --threads=1 never
   uses more). `seed` is the key of all random bits. */
int @_init(@_network **network, void *state, void *workspace, int threads, uint64_t seed);
void @_free(@_network *network);

size_t @_state_size(void);
size_t @_workspace_size(void);
size_t @_alignment(void);

/* The first instruction set that this processor lacks, or null: what init checks. */
const char *@_missing_feature(void);

/* Back to the initial weights and to step 0. */
int @_reset(@_network *network);
)";

const char *const kSteps = R"(
/* One update, or with micro-batches a part of one: every ^_MICRO_BATCHES calls together make an update with their mean gradient, at the
   learning rate of the last. `x` has ^_X_SIZE numbers and `~` ^_ANSWER_SIZE: ^_ROWS rows, copied before use. Writes the batch's mean loss and
   the number of rows answered rightly (0 where targets are real numbers); either pointer may be null. */
int @_train_step(@_network *network, const float *x, const % *~, double learning_rate, float *loss, int64_t *correct);

/* Scores `rows` rows, 1 to ^_ROWS, with running statistics and frozen ranges; changes nothing of the state. Writes the sum of
   the rows' losses, the number answered rightly, and the network's output for these rows (^_OUTPUT_SIZE / ^_ROWS numbers
   each); each pointer may be null. */
int @_eval_step(@_network *network, const float *x, const % *~, int rows, float *loss_sum, int64_t *correct, float *output);

/* The network's output for `rows` rows, without labels. */
int @_predict(@_network *network, const float *x, int rows, float *output);

/* Calls of train_step so far: they number the random bits, and Adam counts the updates. Set them where a copy of the state is put back. */
uint64_t @_steps(const @_network *network);
int @_set_steps(@_network *network, uint64_t steps);

/* Numbers that the last train_step reported, named by @_report_names: loss, right answers, then for each quantized tensor its
   scale and counts of codes. */
const float *@_report(const @_network *network);
const char *const *@_report_names(size_t *count);
)";

const char *const kState = R"(
/* Writes state, steps and seed to a file, which is complete or as it was before, whatever happens (written beside it, synced,
   renamed). It is a safetensors file: other programs can read the tensors by name. */
int @_save(const @_network *network, const char *path);
/* Reads what save wrote, by this library or by one compiled from the same model with the same recipe and optimizer (batch size,
   processor and threads may differ). Training goes on bit for bit. */
int @_load(@_network *network, const char *path);

/* Tensors: what a step is given and hands out, the parameters that are trained, and all of the state. */
typedef struct @_tensor {
  const char *name;
  const char *onnx_name; /* the initializer in the ONNX file; "" where there is none */
  const char *role;      /* weight, bias, norm, clip, moment, grad_scale, range, running_stat, constant; input, label, target, output */
  const char *type;      /* float32, float64, int32, int64, int8, uint8, bool */
  const char *layout;    /* how the values lie, where not as in the ONNX file: OHWI, T, perm:…, reshape:… */
  int32_t trained;
  int32_t rank;
  const int64_t *shape;
  size_t offset;         /* bytes from the start of the state; 0 for what is not in it */
  size_t bytes;
} @_tensor;
const @_tensor *@_inputs(size_t *count);
const @_tensor *@_outputs(size_t *count);
const @_tensor *@_parameters(size_t *count);
const @_tensor *@_state_tensors(size_t *count);

/* The state's memory, for reading, copying and writing tensors at their offsets. */
void *@_state(@_network *network);
)";

class HeaderWriter {
public:
  HeaderWriter(const LibraryModel &model, const Machine &machine) : model(model), machine(machine), os(text) {}

  std::string write() {
    writeHead();
    put(kErrors);
    writeNumbers();
    put(kLife);
    put(kSteps);
    put(kState);
    put("\n#ifdef __cplusplus\n}\n#endif\n#endif\n");
    return std::move(text);
  }

private:
  void put(llvm::StringRef source) {
    bool labels = model.answer.type == "int32";
    for (char letter : source)
      switch (letter) {
      case '@': os << model.name; break;
      case '^': os << llvm::StringRef(model.name).upper(); break;
      case '%': os << (labels ? "int32_t" : "float"); break;
      case '~': os << (labels ? "labels" : "targets"); break;
      default: os << letter;
      }
  }

  /// Names from outside go into a comment: nothing may end it.
  static std::string comment(std::string value) {
    for (size_t i = 0; i < value.size(); ++i)
      if (static_cast<unsigned char>(value[i]) < ' ' || (value[i] == '/' && i > 0 && value[i - 1] == '*'))
        value[i] = '_';
    return value;
  }

  static std::string shape(const LibraryTensor &tensor) {
    std::string result;
    for (int64_t size : tensor.shape)
      result += "[" + std::to_string(size) + "]";
    return tensor.type + result;
  }

  void writeHead() {
    os << "/* " << model.name << ".h - a training step, made by " << comment(model.tool) << " from " << comment(model.source) << "\n *\n"
       << " * x        " << shape(model.input) << ", '" << comment(model.input.name) << "'\n"
       << " * " << (model.answer.type == "int32" ? "labels   " : "targets  ") << shape(model.answer);
    if (model.classes > 0)
      os << ", 0 to " << model.classes - 1;
    os << "\n * output   " << shape(model.output) << ", " << (model.merged.empty() ? "" : "what goes into " + model.merged + ": ") << "'"
       << comment(model.output.name) << "'\n"
       << " * recipe   " << comment(model.recipe) << "\n * update   " << comment(model.optimizer) << "\n * compiled for '" << comment(model.cpu) << "' ("
       << llvm::Triple(machine.triple).getArchName() << "), which must have:";
    size_t column = 200;
    for (const ProcessorFeature &feature : requiredFeatures(machine)) {
      if (column > 90)
        os << "\n *  ", column = 4;
      os << " " << feature.name, column += strlen(feature.name) + 1;
    }
    put("\n *\n * Link with -l@" + model.links + ". Numbers lie row by row, the last dimension fastest.\n */\n");
    put("#ifndef NIBBLE_^_H\n#define NIBBLE_^_H\n\n#include <stddef.h>\n#include <stdint.h>\n\n#ifdef __cplusplus\nextern \"C\" {\n#endif\n");
  }

  void define(const char *name, int64_t value, const char *what) {
    put("#define ^_" + std::string(name) + " " + std::to_string(value) + " /* " + what + " */\n");
  }

  static int64_t count(const LibraryTensor &tensor) {
    int64_t product = 1;
    for (int64_t size : tensor.shape)
      product *= size;
    return product;
  }

  void writeNumbers() {
    os << "\n";
    define("ROWS", model.rows(), "samples in a batch");
    define("X_SIZE", count(model.input), "numbers in a batch's x");
    define("ANSWER_SIZE", count(model.answer), "labels or targets of a batch");
    define("OUTPUT_SIZE", count(model.output), "numbers in a batch's output");
    define("CLASSES", model.classes, "0: targets are real numbers");
    define("MICRO_BATCHES", model.microBatches, "calls of train_step that make one update");
  }

  const LibraryModel &model;
  const Machine &machine;
  std::string text;
  llvm::raw_string_ostream os;
};

} // namespace

std::string nibble::libraryHeader(const LibraryModel &model, const Machine &machine) { return HeaderWriter(model, machine).write(); }
