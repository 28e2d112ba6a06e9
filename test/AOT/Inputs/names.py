"""names.py FOLDER: nibble-compile with processors of many kinds, and with names that are none. Fails where one ends by a signal."""

import subprocess
import sys

GOOD = "core2 nehalem haswell znver1 znver5 skylake-avx512 icelake-server sapphirerapids graniterapids sierraforest diamondrapids cortex-a35 " \
       "cortex-a76 neoverse-n1 neoverse-v2 apple-m1 a64fx thunderx2t99 oryon-1"  # fmt: skip
BAD = ["", " ", "nativ", "avx1024", "pentium4m", "i386", "i686", "athlon", "lakemont", "cortex-m4", "arm7tdmi", "mips64", "power9", "sm_90", "gfx90a", "help",
       "+avx2", "avx2,", "znver5 ", "ZNVER5", "x86_64", "\u00e4", "a" * 5000, "--emit=lib", "../x", "%n%n", "generic-rv64"]  # fmt: skip
folder = sys.argv[1]


def compile(name):
    command = ["nibble-compile", f"{folder}/mlp.onnx", "--batch-size=2", "--recipe=luq", f"--mcpu={name}", "--emit=obj", "-o", f"{folder}/out.o"]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


subprocess.run([sys.executable, "-m", "nibble.zoo", "mlp", "--batch", "2", "--input-shape", "16", "-o", f"{folder}/mlp.onnx"], check=True)
for name in GOOD.split():
    if (done := compile(name)).returncode != 0:
        sys.exit(f"{name}: {done.returncode}: {done.stderr[:500]}")
for name in BAD:
    done = compile(name)
    if done.returncode != 2 or "--mcpu" not in done.stderr:
        sys.exit(f"{name!r}: {done.returncode}: {done.stderr[:500]}")
print("all names answered")
