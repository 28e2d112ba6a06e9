# What the lit tests may use. See docs/howto for how to write one.
#
# Tools     nibble-opt, nibble-translate, nibble-compile, nibble-train; FileCheck, not, split-file, count, mlir-opt
# %python   the project's virtual environment, with python/ on its path (%zoo: %python -m nibble.zoo)
# %nibble_data   folder with recorded data (environment variable NIBBLE_DATA; default ../shared/data);
#                a test that needs it says REQUIRES: nibble-data and is reported as unsupported without it
# %shlibext and the like are not needed: one system, Linux.
# Features  nibble-data, onnxruntime, safetensors, sklearn, avx512, avx512vnni, asan, chromium, tmpfs (a test may mount a small disk: unshare -m, mount)
import os
import shutil
import subprocess

import lit.formats

config.name = "Nibble"
config.test_format = lit.formats.ShTest(execute_external=False)
config.suffixes = [".mlir", ".test"]
config.excludes = ["Unit", "Python", "Inputs", "CMakeLists.txt", "lit.cfg.py"]
config.test_source_root = os.path.join(config.nibble_source, "test")
config.test_exec_root = os.path.join(config.nibble_build, "test")

data = os.environ.get("NIBBLE_DATA") or os.path.join(config.nibble_source, "..", "shared", "data")
data = os.path.abspath(data)
if os.path.isdir(data):
    config.available_features.add("nibble-data")
else:
    lit_config.note("no recorded data at %s: the tests that need it are unsupported" % data)

path = [os.path.join(config.nibble_build, "bin"), config.llvm_bin, os.path.dirname(config.python)]
config.environment["PATH"] = os.pathsep.join(path + [os.environ.get("PATH", "")])
config.environment["PYTHONPATH"] = os.path.join(config.nibble_source, "python")
config.environment["PYTHONDONTWRITEBYTECODE"] = "1"
config.environment["NIBBLE_DATA"] = data
config.environment["XDG_CACHE_HOME"] = "/dev/null"  # nothing of a test comes from the runs before it, or stays behind
for name in ("HOME", "TMPDIR", "OMP_NUM_THREADS"):
    if name in os.environ:
        config.environment[name] = os.environ[name]
if config.sanitize:
    # Containers and arenas cross between our instrumented code and LLVM's, which is not instrumented.
    config.environment["ASAN_OPTIONS"] = "detect_container_overflow=0:allow_user_poisoning=0:detect_leaks=0"
    config.available_features.add("asan")

config.substitutions.append(("%zoo", config.python + " -m nibble.zoo"))
config.substitutions.append(("%python", config.python))
config.substitutions.append(("%nibble_data", data))
config.substitutions.append(("%nibble_source", config.nibble_source))

# What the processor has decides which code paths a test can reach; none of it is needed to pass.
with open("/proc/cpuinfo") as cpuinfo:
    flags = next((set(line.split()) for line in cpuinfo if line.startswith("flags")), set())
for feature, flag in (("avx2", "avx2"), ("avx512", "avx512f"), ("avx512vnni", "avx512_vnni"), ("avxvnni", "avx_vnni"), ("avx512bf16", "avx512_bf16")):
    if flag in flags:
        config.available_features.add(feature)

if subprocess.run(["unshare", "-m", "mount", "-t", "tmpfs", "tmpfs", "/mnt"], capture_output=True).returncode == 0:
    config.available_features.add("tmpfs")

if shutil.which("chromium", path=config.environment["PATH"]):
    config.available_features.add("chromium")

found = subprocess.run(
    [config.python, "-c", "import importlib.util as u; print(*[m for m in ('onnxruntime', 'safetensors', 'sklearn', 'onnx', 'torch') if u.find_spec(m)])"],
    capture_output=True, text=True,
)
config.available_features.update(found.stdout.split())
