# The GoogleTest binaries (build/<preset>/test/Unit/**/…Tests), run by lit.
import os

import lit.formats

config.name = "Nibble-Unit"
config.test_source_root = os.path.join(config.nibble_build, "test", "Unit")
config.test_exec_root = config.test_source_root
config.test_format = lit.formats.GoogleTest(".", "Tests")

for name in ("HOME", "TMPDIR", "OMP_NUM_THREADS"):
    if name in os.environ:
        config.environment[name] = os.environ[name]
# Recorded data of the workplace: tests that need it skip themselves, visibly, when the folder is not there.
config.environment["NIBBLE_DATA"] = os.environ.get(
    "NIBBLE_DATA", os.path.join(config.nibble_source, "..", "shared", "data")
)
config.environment["NIBBLE_SOURCE"] = config.nibble_source
if config.sanitize:
    # Containers cross between our instrumented code and LLVM's, which is not instrumented.
    config.environment["ASAN_OPTIONS"] = "detect_container_overflow=0:detect_leaks=0"
