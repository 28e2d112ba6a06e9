//===- Features.cpp - instructions that code asks of a processor -----------------===//
#include "nibble/Target/Features.h"

#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/MC/MCSubtargetInfo.h"
#include "llvm/TargetParser/Host.h"
#include "llvm/TargetParser/Triple.h"

using namespace nibble;

namespace {

enum Register : uint32_t { eax, ebx, ecx, edx };
// XCR0: YMM state; that and opmask, upper ZMM and ZMM16-31; the sixteen further integer registers of APX.
constexpr uint32_t kYmm = 0x6, kZmm = 0xE6, kApx = 1u << 19;

// Intel SDM volume 2, CPUID; AMD APM volume 3, appendix E.
const ProcessorFeature kX86[] = {
    {"x87", 1, 0, edx, 0, 0},
    {"cx8", 1, 0, edx, 8, 0},
    {"cmov", 1, 0, edx, 15, 0},
    {"mmx", 1, 0, edx, 23, 0},
    {"fxsr", 1, 0, edx, 24, 0},
    {"sse", 1, 0, edx, 25, 0},
    {"sse2", 1, 0, edx, 26, 0},
    {"sse3", 1, 0, ecx, 0, 0},
    {"pclmul", 1, 0, ecx, 1, 0},
    {"ssse3", 1, 0, ecx, 9, 0},
    {"fma", 1, 0, ecx, 12, kYmm},
    {"cx16", 1, 0, ecx, 13, 0},
    {"sse4.1", 1, 0, ecx, 19, 0},
    {"sse4.2", 1, 0, ecx, 20, 0},
    {"movbe", 1, 0, ecx, 22, 0},
    {"popcnt", 1, 0, ecx, 23, 0},
    {"avx", 1, 0, ecx, 28, kYmm},
    {"f16c", 1, 0, ecx, 29, kYmm},
    {"bmi", 7, 0, ebx, 3, 0},
    {"avx2", 7, 0, ebx, 5, kYmm},
    {"bmi2", 7, 0, ebx, 8, 0},
    {"avx512f", 7, 0, ebx, 16, kZmm},
    {"avx512dq", 7, 0, ebx, 17, kZmm},
    {"adx", 7, 0, ebx, 19, 0},
    {"avx512ifma", 7, 0, ebx, 21, kZmm},
    {"avx512cd", 7, 0, ebx, 28, kZmm},
    {"avx512bw", 7, 0, ebx, 30, kZmm},
    {"avx512vl", 7, 0, ebx, 31, kZmm},
    {"avx512vbmi", 7, 0, ecx, 1, kZmm},
    {"avx512vbmi2", 7, 0, ecx, 6, kZmm},
    {"gfni", 7, 0, ecx, 8, 0},
    {"vpclmulqdq", 7, 0, ecx, 10, kYmm},
    {"avx512vnni", 7, 0, ecx, 11, kZmm},
    {"avx512bitalg", 7, 0, ecx, 12, kZmm},
    {"avx512vpopcntdq", 7, 0, ecx, 14, kZmm},
    {"avx512vp2intersect", 7, 0, edx, 8, kZmm},
    {"avx512fp16", 7, 0, edx, 23, kZmm},
    {"avxvnni", 7, 1, eax, 4, kYmm},
    {"avx512bf16", 7, 1, eax, 5, kZmm},
    {"cmpccxadd", 7, 1, eax, 7, 0},
    {"avxifma", 7, 1, eax, 23, kYmm},
    {"avxvnniint8", 7, 1, edx, 4, kYmm},
    {"avxneconvert", 7, 1, edx, 5, kYmm},
    {"avxvnniint16", 7, 1, edx, 10, kYmm},
    // APX comes as a whole.
    {"egpr", 7, 1, edx, 21, kApx},
    {"ndd", 7, 1, edx, 21, kApx},
    {"ccmp", 7, 1, edx, 21, kApx},
    {"nf", 7, 1, edx, 21, kApx},
    {"cf", 7, 1, edx, 21, kApx},
    {"zu", 7, 1, edx, 21, kApx},
    {"ppx", 7, 1, edx, 21, kApx},
    {"push2pop2", 7, 1, edx, 21, kApx},
    // The low byte is the version of AVX10: 2, or 3.
    {"avx10.2", 0x24, 0, ebx, 1, kZmm},
    {"sahf", 0x80000001, 0, ecx, 0, 0},
    {"lzcnt", 0x80000001, 0, ecx, 5, 0},
    {"sse4a", 0x80000001, 0, ecx, 6, 0},
    {"xop", 0x80000001, 0, ecx, 11, kYmm},
    {"fma4", 0x80000001, 0, ecx, 16, kYmm},
    {"tbm", 0x80000001, 0, ecx, 21, 0},
};

// Linux, arch/arm64/include/uapi/asm/hwcap.h.
constexpr uint32_t kHwcap = 16, kHwcap2 = 26;
const ProcessorFeature kAArch64[] = {
    {"fp-armv8", kHwcap, 0, 0, 0, 0},   {"neon", kHwcap, 0, 0, 1, 0},      {"lse", kHwcap, 0, 0, 8, 0},
    {"fullfp16", kHwcap, 0, 0, 10, 0},  {"rdm", kHwcap, 0, 0, 12, 0},      {"jsconv", kHwcap, 0, 0, 13, 0},
    {"complxnum", kHwcap, 0, 0, 14, 0}, {"rcpc", kHwcap, 0, 0, 15, 0},     {"sha3", kHwcap, 0, 0, 17, 0},
    {"dotprod", kHwcap, 0, 0, 20, 0},   {"sve", kHwcap, 0, 0, 22, 0},      {"fp16fml", kHwcap, 0, 0, 23, 0},
    {"lse2", kHwcap, 0, 0, 25, 0},      {"rcpc-immo", kHwcap, 0, 0, 26, 0}, {"flagm", kHwcap, 0, 0, 27, 0},
    {"sve2", kHwcap2, 0, 0, 1, 0},      {"altnzcv", kHwcap2, 0, 0, 7, 0},  {"fptoint", kHwcap2, 0, 0, 8, 0},
    {"i8mm", kHwcap2, 0, 0, 13, 0},     {"bf16", kHwcap2, 0, 0, 14, 0},    {"cssc", kHwcap2, 0, 0, 34, 0},
    {"mops", kHwcap2, 0, 0, 43, 0},     {"hbc", kHwcap2, 0, 0, 44, 0},     {"rcpc3", kHwcap2, 0, 0, 46, 0},
    {"faminmax", kHwcap2, 0, 0, 50, 0},
};

// Used by intrinsics, assembly or the system only; a machine without them runs our code.
const char *const kUnusedX86[] = {
    "64bit",     "aes",     "amx-avx512", "amx-bf16", "amx-complex", "amx-fp16",  "amx-fp8",  "amx-int8", "amx-movrs", "amx-tf32",
    "amx-tile",  "cldemote", "clflushopt", "clwb",    "clzero",      "crc32",     "enqcmd",   "fsgsbase", "hreset",    "invpcid",
    "kl",        "lwp",     "movdir64b",  "movdiri",  "movrs",       "mwaitx",    "pconfig",  "pku",      "prefetchi", "prfchw",
    "ptwrite",   "rdpid",   "rdpru",      "rdrnd",    "rdseed",      "serialize", "sgx",      "sha",      "sha512",    "shstk",
    "sm3",       "sm4",     "tsxldtrk",   "uintr",    "usermsr",     "vaes",      "waitpkg",  "wbnoinvd", "widekl",    "xsave",
    "xsavec",    "xsaveopt", "xsaves",
};
const char *const kUnusedAArch64[] = {
    "aes",     "am",       "brbe",   "ccdp",    "ccidx",   "ccpp",       "chk",         "clrbhb",      "crc",        "ete",         "fgt",
    "fp8dot2", "fp8dot4",  "fp8fma", "fpac",    "hcx",     "lor",        "ls64",        "lut",         "mec",        "mpam",        "mte",
    "pan",     "pan-rwv",  "pauth",  "perfmon", "predres", "rand",       "ras",         "rme",         "sb",         "sel2",        "sha2",
    "sm4",     "sme",      "sme2",   "sme2p1",  "spe",     "sme-b16b16", "sme-f16f16",  "sme-f64f64",  "sme-i16i64", "spe-eef",     "specres2",
    "ssbs",    "sve-aes",  "sve-b16b16", "sve-bitperm", "sve-sha3", "sve-sm4", "specrestrict", "tracev8.4", "trbe", "uaops", "vh", "wfxt",
};

llvm::ArrayRef<ProcessorFeature> table(const llvm::Triple &triple) {
  if (triple.isX86())
    return kX86;
  if (triple.isAArch64())
    return kAArch64;
  return {};
}

} // namespace

std::vector<ProcessorFeature> nibble::requiredFeatures(const Machine &machine) {
  llvm::StringSet<> has;
  for (const llvm::SubtargetFeatureKV &feature : machine.targetMachine(0)->getMCSubtargetInfo()->getEnabledProcessorFeatures())
    has.insert(feature.Key);
  std::vector<ProcessorFeature> required;
  for (const ProcessorFeature &feature : table(llvm::Triple(machine.triple)))
    if (has.contains(feature.name))
      required.push_back(feature);
  return required;
}

std::string nibble::missingOnHost(const Machine &machine) {
  llvm::Triple triple(machine.triple), host(llvm::sys::getProcessTriple());
  if (triple.getArch() != host.getArch())
    return llvm::Triple::getArchTypeName(triple.getArch()).str();
  llvm::StringMap<bool> features = llvm::sys::getHostCPUFeatures();
  for (const ProcessorFeature &feature : requiredFeatures(machine))
    // LLVM does not look for what every 64-bit processor has.
    if (auto found = features.find(feature.name); found != features.end() && !found->second)
      return feature.name;
  return "";
}

bool nibble::isKnownFeature(const llvm::Triple &triple, llvm::StringRef name) {
  if (llvm::any_of(table(triple), [&](const ProcessorFeature &feature) { return name == feature.name; }))
    return true;
  return triple.isX86() ? llvm::is_contained(kUnusedX86, name) : llvm::is_contained(kUnusedAArch64, name);
}
