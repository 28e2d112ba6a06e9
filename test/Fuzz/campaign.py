#!/usr/bin/env python3
"""The hostile-input campaign: many damaged files through every reader, a line of figures for each part.

    python test/Fuzz/campaign.py onnx --count 10000 --bin build/asan/bin     # also idx, cifar, npz, csv, checkpoint
    python test/Fuzz/campaign.py tools --count 300 --bin build/release/bin   # the tools themselves, every write watched
    python test/Fuzz/campaign.py table                                       # the figures of benchmark/results/hostile.jsonl

Files are made, read and removed in pieces of 2,000; piece i has the seed SEED + i. Failures are printed with seed and
name, and their files are kept in --keep. A run that finishes adds a line to benchmark/results/hostile.jsonl.

`tools` runs nibble-translate, nibble-compile and nibble-train under strace and names every path outside the output
folder (and TMPDIR, where nothing may stay) that one of them tries to create, write, rename or remove. The compile
cache is off: it is the one other place that Nibble writes to, and --cache-dir and --no-cache choose it.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(HERE), str(ROOT / "benchmark")]
import common  # noqa: E402
import damage  # noqa: E402
import datafiles  # noqa: E402
import harness  # noqa: E402
import seed_networks  # noqa: E402
import run  # noqa: E402

PIECE = 2000
KINDS = ["onnx", "idx", "cifar", "npz", "csv", "checkpoint"]


# --- readers in one process ---------------------------------------------------------------------------


def keep_failures(failures, folder):
    for failure in failures:
        print(harness.describe(failure), flush=True)
        source = Path(failure["path"])
        if folder and source.is_file():
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, folder / f"{int(time.time())}-{source.parent.name}-{source.name}")


def piece(a, seed, count, reader):
    """Makes, reads and removes `count` files."""
    with tempfile.TemporaryDirectory(dir=a.scratch) as temporary:
        folder = Path(temporary)
        if a.what == "onnx":
            manifest = damage.write(seed, count, folder)
            results = harness.read_files(reader, folder, manifest, a.object_every, folder / "outside", a.nice)
        else:
            manifest = damage.write(seed, count, folder, data=True, kinds=[a.what])
            results = harness.read_files(reader, folder, manifest, nice=a.nice)
        for result in results:
            result["seed"] = seed
        keep_failures(harness.failures(results), a.keep)
    return results


def read_many(a):
    reader, results, start = run.find("nibble-read-files", a.bin), [], time.time()
    for index, first in enumerate(range(0, a.count, PIECE)):
        results += piece(a, a.seed + index, min(PIECE, a.count - first), reader)
        print(f"{len(results)} of {a.count} files, {len(harness.failures(results))} failures", flush=True)
    row = harness.summary(results)
    if a.what == "onnx":
        row["objects"] = sum(i % PIECE % a.object_every == 0 for i in range(a.count)) if a.object_every else 0
    return {**row, "hours": round((time.time() - start) / 3600, 3)}


# --- the tools, watched ---------------------------------------------------------------------------------

CALLS = ("open,openat,openat2,creat,mkdir,mkdirat,mknod,mknodat,rename,renameat,renameat2,link,linkat,symlink,symlinkat,"
         "unlink,unlinkat,rmdir,truncate,chmod,fchmodat,chown,fchownat,utimensat,bind")
WRITES = re.compile(r"^\d+ +(\w+)\((.*)")
STRING = re.compile(r'"((?:[^"\\]|\\.)*)"')
# Not files of anybody's: terminals, and the name under which OpenMP's runtime registers itself in memory.
HARMLESS = re.compile(r"^(/dev/(null|tty|urandom|shm/__KMP_REGISTERED_LIB_\d+_\d+)$|/proc/self/)")


def written_paths(log, folder):
    """Paths that the traced processes tried to change, absolute."""
    paths = set()
    for line in log.read_text(errors="replace").splitlines():
        call = WRITES.match(line)
        if not call or "ENOENT" in line and call[1].startswith("open") and "O_CREAT" not in line:
            continue
        if call[1].startswith("open") and not re.search(r"O_WRONLY|O_RDWR|O_CREAT|O_TRUNC", line):
            continue
        if call[1].startswith("mkdir") and "EEXIST" in line:
            continue
        for path in STRING.findall(call[2]):
            paths.add(os.path.normpath(os.path.join(folder, path.encode().decode("unicode_escape", "replace"))))
    return paths


def tool_commands(a, folder, index, entry):
    """Commands for one damaged file; they may write into folder/out."""
    translate, compile_, train = (run.find(n, a.bin) for n in ("nibble-translate", "nibble-compile", "nibble-train"))
    file, out = str(folder / entry["file"]), f"{folder}/out"
    if entry["kind"] == "model":
        options = [file, "--batch-size", "4", "--recipe", ["ibm", "luq", "f32"][index % 3]]
        return [[translate, "--import-onnx", file, "-o", f"{out}/x.mlir"],
                [compile_, *options, *[["--emit=obj", "-o", f"{out}/x.o"], ["--emit=onnx", "-o", f"{out}/x.onnx"],
                                       ["--emit=planned", "-o", f"{out}/x.mlir"], ["--emit=lib", "-o", f"{out}/lib"]][index % 4]],
                [train, *options[:3], "--data", str(folder / "valid.npz"), "--out", f"{out}/trained", "--no-cache", "--overwrite"]]
    model = str(folder / {"idx": "idx", "cifar": "cifar"}.get(entry["kind"], "table")) + ".onnx"
    base = [train, model, "--batch-size", "2", "--epochs", "1", "--out", f"{out}/trained", "--no-cache"]
    if entry["kind"] == "checkpoint":
        return [[*base, "--data", str(folder / "valid.npz"), f"--resume={file}", "--overwrite"],
                [*base[:2], "--export", file, "--out", f"{out}/exported", "--no-cache"]]
    return [[*base, "--data", file, "--overwrite"]]


def prepare(folder):
    """Networks and a data set that nothing is wrong with."""
    import random

    for name, shape in (("idx", "1,4,4"), ("cifar", "3,32,32"), ("table", "8")):
        size = 1
        for n in shape.split(","):
            size *= int(n)
        text = f"fill w 10x{size}\nOPSET21\ng (float[N,{shape}] x) => (float[N,10] y) {{ f = Flatten(x) y = Gemm<transB = 1>(f, w) }}"
        (folder / f"{name}.onnx").write_bytes(seed_networks.from_text(text).SerializeToString())
    rng = random.Random(0)
    while True:
        data = datafiles.npz(rng)
        if b"x_train" not in data and b"<f4" in data and b"<i8" in data:
            break
    (folder / "valid.npz").write_bytes(data)
    for name in ("out", "home", "temporary"):
        (folder / name).mkdir()


def watch(command, folder):
    """Runs a command under strace; returns (what is wrong or None, paths changed outside the output folder)."""
    log = folder / "strace.log"
    traced = ["strace", "-f", "-qq", "-s", "4096", "-e", f"trace={CALLS}", "-o", str(log), *command]
    verdict = run.judge(traced, seconds=120)
    allowed = tuple(f"{folder}/{name}/" for name in ("out", "temporary"))
    outside = [p for p in written_paths(log, str(folder)) if not (p + "/").startswith(allowed) and not HARMLESS.match(p)]
    # --emit=lib links in a folder of its own under TMPDIR; nothing stays of it.
    return verdict, outside + [str(p) for p in (folder / "temporary").iterdir()]


def run_tools(a):
    start, runs, wrong, strays = time.time(), 0, [], {}
    with tempfile.TemporaryDirectory(dir=a.scratch) as temporary:
        folder = Path(temporary).resolve()
        prepare(folder)
        os.environ.update({"HOME": f"{folder}/home", "TMPDIR": f"{folder}/temporary", "XDG_CACHE_HOME": f"{folder}/home/cache"})
        os.chdir(folder)
        manifest = damage.write(a.seed, a.count, folder) + damage.write(a.seed, a.count, folder, data=True)
        for index, entry in enumerate(manifest):
            for command in tool_commands(a, folder, index, entry):
                runs += 1
                verdict, outside = watch(command, folder)
                if verdict:
                    wrong.append(f"{entry['file']} ({entry['detail'][:100]!r}): {verdict}\n     {' '.join(command)}")
                    print("FAIL", wrong[-1], flush=True)
                    keep_failures([], a.keep)
                for path in outside:
                    print(f"WRITES {path}: {' '.join(command)}", flush=True)
                    strays[path] = " ".join(command)
            shutil.rmtree(folder / "out")
            (folder / "out").mkdir()
            if (index + 1) % 100 == 0:
                print(f"{index + 1} of {len(manifest)} files, {runs} runs, {len(wrong)} failures, {len(strays)} strays", flush=True)
    return {"files": len(manifest), "runs": runs, "failures": len(wrong), "writes_outside": len(strays),
            "hours": round((time.time() - start) / 3600, 3)}


# --- figures --------------------------------------------------------------------------------------------


def table():
    """The newest line of each part, as a table."""
    store = common.Store("hostile")
    newest = {r["key"]: r for r in store.records}
    print("| part | files | past protobuf | accepted | failures | writes outside | most MB | most s (processor) | hours |")
    print("|---|---|---|---|---|---|---|---|---|")
    for key, r in newest.items():
        if "files" not in r:
            continue
        past = f"{r['past_protobuf']} ({100 * r['past_protobuf'] / r['files']:.0f} %)" if "past_protobuf" in r else ""
        print(f"| {key} | {r['files']} | {past} | {r.get('accepted', '')} | {r['failures']} | {r.get('writes_outside', '')} | "
              f"{r.get('most_megabytes', '')} | {r.get('most_seconds', '')} | {r['hours']} |")


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("what", choices=[*KINDS, "tools", "table"])
    p.add_argument("--count", type=int, default=10000, help="files (default: 10000); for tools, networks and as many others")
    p.add_argument("--seed", type=int, default=1000)
    p.add_argument("--bin", default=str(ROOT / "build" / "asan" / "bin"), help="folder with the tools (default: build/asan/bin)")
    p.add_argument("--object-every", type=int, default=50, help="ONNX files of which one becomes an object (default: 50)")
    p.add_argument("--nice", type=int, default=10)
    p.add_argument("--scratch", type=Path, help="where the files are for a while")
    p.add_argument("--keep", type=Path, default=ROOT / "build" / "hostile", help="where files of failures go")
    a = p.parse_args()
    if a.what == "table":
        return table()
    command = common.shown(["python", "test/Fuzz/campaign.py", *sys.argv[1:]])
    a.bin = str(Path(a.bin).resolve())
    row = run_tools(a) if a.what == "tools" else read_many(a)
    build = "ASan, UBSan" if "asan" in Path(a.bin).parts else "release"
    record = common.Store("hostile").add(f"{a.what} ({build})", command=command, seed=a.seed, **row)
    print({k: v for k, v in record.items() if k not in ("machine", "command")})
    sys.exit(1 if row["failures"] or row.get("writes_outside") else 0)


if __name__ == "__main__":
    main()
