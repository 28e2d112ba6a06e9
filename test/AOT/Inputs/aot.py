"""Compares what a library's program did with what nibble-train did, bit for bit.

    aot.py data FILE.npz SHAPE CLASSES COUNT       noise of that sample shape (1x28x28), a bit brighter where the label says
    aot.py losses PROGRAM.txt RUN.jsonl            the loss of every step: the program's "loss" words, the log's records
    aot.py states PROGRAM.safetensors RUN.safetensors   every tensor that the run saved is the program's
    aot.py build FOLDER MODEL.onnx MCPU RECIPE THREADS BATCH   a library `tiny` for that processor, and train.c linked with it: FOLDER/train
    aot.py run FOLDER BATCHES CPU                  runs it under QEMU as that processor: FOLDER/out.txt, FOLDER/state.safetensors
    aot.py damage FROM TO                          a copy with one bit flipped in its middle
    aot.py damage-all FOLDER                       that for every file of a folder, in place
    aot.py without-linker MODEL.onnx FOLDER        --emit=lib where no linker is found; its error and the folder's files
    aot.py shown PROGRAM.c PAGE.md                 the page has the program, word for word
    aot.py objects A B                             two object files hold the same sections that end up in memory, and relocations
"""

import json
import os
import pathlib
import re
import shutil
import struct
import subprocess
import sys

import numpy as np


def data(path, shape, classes, count):
    random = np.random.RandomState(3)
    shape, classes, count = [int(n) for n in shape.split("x")], int(classes), int(count)
    y = np.arange(count) % classes
    x = random.standard_normal([count, *shape]).astype(np.float32)
    x.reshape(count, -1)[np.arange(count), y] += 3
    np.savez(path, x=x, y=y.astype(np.int64))


def losses(program, log):
    found = [np.float32(word) for word in re.findall(r"loss (\S+)", open(program).read())]
    records = [json.loads(line) for line in open(log)]
    expected = [np.float32(r.get("loss", r.get("train_loss"))) for r in records if r["type"] == "step"]
    if not found or [v.tobytes() for v in found] != [v.tobytes() for v in expected]:
        sys.exit(f"losses differ: {found[:8]} … and {expected[:8]} …")
    print(len(found), "losses equal")


def tensors(path):
    content = open(path, "rb").read()
    (length,) = struct.unpack_from("<Q", content)
    header = json.loads(content[8 : 8 + length])
    header.pop("__metadata__")
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        yield name, (entry["dtype"], tuple(entry["shape"]), content[8 + length + begin : 8 + length + end])


def states(program, run):
    # A run saves what steps change, a library all of its state.
    found, expected = dict(tensors(program)), dict(tensors(run))
    wrong = [name for name in expected if found.get(name) != expected[name]]
    if wrong or not expected:
        sys.exit(f"states differ: {wrong}")
    print(len(expected), "tensors equal")


ARM = "/usr/aarch64-linux-gnu"  # Debian's libc6-dev-arm64-cross
SOURCE = pathlib.Path(__file__).parents[1] / "train.c"


def is_arm(folder):
    return "AArch64" in subprocess.run(["llvm-readelf", "-h", f"{folder}/libtiny.so"], check=True, capture_output=True, text=True).stdout


def build(folder, model, mcpu, recipe, threads, batch):
    options = f"--mcpu={mcpu} --recipe={recipe} --threads={threads} --batch-size={batch} --least-work=1 --emit=lib --lib-name=tiny"
    subprocess.run(["nibble-compile", model, *options.split(), "-o", folder], check=True, stderr=subprocess.DEVNULL)
    compiler, start = ["cc"], []
    if is_arm(folder):
        # No libgcc: nothing here needs one.
        compiler = f"clang-22 --target=aarch64-linux-gnu -nostdlib -fuse-ld=lld -isystem {ARM}/include".split()
        start = [f"{ARM}/lib/{name}" for name in ("crt1.o", "crti.o", "crtn.o", "libc.so.6", "ld-linux-aarch64.so.1")]
    subprocess.run([*compiler, "-O1", SOURCE, f"-I{folder}", f"-L{folder}", "-ltiny", f"-Wl,-rpath,{folder}", *start, "-o", f"{folder}/train"],
                   check=True)  # fmt: skip


def run(folder, batches, cpu):
    emulator = ["qemu-aarch64", "-L", ARM] if is_arm(folder) else ["qemu-x86_64"]
    command = [*emulator, "-cpu", cpu, f"{folder}/train", batches, f"{folder}/state.safetensors", "2"]
    with open(f"{folder}/out.txt", "w") as out:
        sys.exit(subprocess.run(command, stdout=out, timeout=600).returncode)


def objects(a, b):
    def sections(path):
        text = subprocess.run(["llvm-readelf", "-S", "-W", path], check=True, capture_output=True, text=True).stdout
        rows = re.findall(r"^ *\[ *\d+\] (\S+) +(\S+) +[0-9a-f]+ ([0-9a-f]+) ([0-9a-f]+) \S+ +(\S*) ", text, re.M)
        content = open(path, "rb").read()
        return {name: content[int(at, 16) : int(at, 16) + int(size, 16)] for name, kind, at, size, flags in rows
                if kind == "PROGBITS" and "A" in flags}  # fmt: skip

    found, expected = sections(a), sections(b)
    if ".text" not in found or found != expected:
        sys.exit(f"sections differ: {sorted(found)} and {sorted(expected)}")
    print(len(found), "sections equal,", sum(map(len, found.values())), "bytes")


def damage(source, target):
    content = bytearray(pathlib.Path(source).read_bytes())
    content[len(content) // 2] ^= 16
    pathlib.Path(target).write_bytes(content)


def damage_all(folder):
    for path in pathlib.Path(folder).iterdir():
        damage(path, path)


def without_linker(model, folder):
    command = [shutil.which("nibble-compile"), model, "--emit=lib", "-o", folder]
    done = subprocess.run(command, env={**os.environ, "PATH": "/nonexistent"}, capture_output=True, text=True)
    print(done.stderr, *sorted(path.name for path in pathlib.Path(folder).iterdir()), sep="\n")
    sys.exit(0 if done.returncode == 1 else 1)


def shown(program, page):
    if pathlib.Path(program).read_text() not in pathlib.Path(page).read_text():
        sys.exit(f"{page} does not show {program}")


if __name__ == "__main__":
    commands = {"damage": damage, "damage-all": damage_all, "without-linker": without_linker, "shown": shown}
    {**commands, "data": data, "losses": losses, "states": states, "build": build, "run": run, "objects": objects}[sys.argv[1]](*sys.argv[2:])
