"""Includes point downward only, as docs/tour.md draws it:

tools, python -> Driver -> Pipeline -> Target -> rooms (never each other) -> Analysis, Reference
              -> Interfaces, Dialect/*/IR, Recipe -> Numerics;     Runtime -> Numerics only.

The compiler's side may see of the runtime what is on the bridge between them.
"""

import pathlib
import re
import warnings

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^">]+)[">]', re.M)
TD_INCLUDE = re.compile(r'^\s*include\s*"([^"]+)"', re.M)

ROOMS = ["Import", "Differentiate", "Quantize", "Schedule", "Codegen/CPU", "Codegen/GPU"]
LEVELS = [
    ["Numerics"],
    ["Interfaces", "Dialect/NN/IR", "Dialect/Q4/IR", "Dialect/Train/IR", "Dialect/Plan/IR", "Recipe"],
    ["Analysis", "Reference"],
    ROOMS,
    ["Target"],  # room 6; the pipeline holds all rooms in order, so it stands above
    ["Pipeline"],
    ["Driver"],
]
LEVEL = {folder: level for level, folders in enumerate(LEVELS) for folder in folders}
FOUNDATION = {folder for level in (1, 2) for folder in LEVELS[level]}

# What the compiler's rooms may know of the runtime: the list of symbols that generated code calls.
BRIDGE = {"nibble/Runtime/Abi.def", "nibble/Runtime/Abi.h"}
MAY_USE_RUNTIME = {"Target", "Pipeline", "Driver"}

LIMITS = {".cpp": 400, ".h": 400, ".td": 300, ".mlir": 80, ".py": 400}


def folder_of(path):
    """'nibble/Dialect/NN/IR/NNOps.h' -> 'Dialect/NN/IR': the longest known folder that holds it."""
    parts = pathlib.PurePosixPath(path).parts[1:-1]
    for length in range(len(parts), 0, -1):
        name = "/".join(parts[:length])
        if name in LEVEL or name == "Runtime":
            return name
    return None


def sources():
    """(folder, file, its includes) of every C++ and TableGen file below include/nibble and lib."""
    for top in ("include/nibble", "lib"):
        for file in sorted((ROOT / top).rglob("*")):
            if file.suffix in (".h", ".cpp", ".def", ".td"):
                inside = pathlib.PurePosixPath("nibble") / file.relative_to(ROOT / top).as_posix()
                pattern = TD_INCLUDE if file.suffix == ".td" else INCLUDE
                yield folder_of(inside), file, pattern.findall(file.read_text())


def complaint(folder, include):
    """Why `folder` may not include `include`, or None."""
    if folder in ("Runtime", "Numerics"):
        if include.startswith(("mlir/", "llvm/", "llvm-c/", "mlir-c/", "onnx/")):
            return f"{folder} is pure C++ and includes {include}"
    if not include.startswith("nibble/"):
        return None
    other = folder_of(include)
    if other is None:
        return f"{include} is in no known folder; add the folder to this test's levels"
    if other == folder:
        return None
    if folder == "Runtime":
        return None if other == "Numerics" else f"Runtime knows Numerics only, not {include}"
    if other == "Runtime":
        allowed = folder in MAY_USE_RUNTIME or include in BRIDGE
        return None if allowed else f"{folder} sees more of the runtime than the bridge: {include}"
    if LEVEL[other] < LEVEL[folder]:
        return None
    if LEVEL[other] == LEVEL[folder]:
        # Dialects, interfaces and recipes lean on one another, and so do analyses; a ring among them is caught below.
        if folder in FOUNDATION:
            return None
        return f"{folder} and {other} stand side by side and must not include each other: {include}"
    return f"{folder} reaches up into {other}: {include}"


def test_folders_are_known():
    """Every source file below include/nibble and lib belongs to a folder with a place in the order."""
    assert [str(file.relative_to(ROOT)) for folder, file, _ in sources() if folder is None] == []


def test_includes_point_downward():
    """No file includes a header of its own level or above, and the runtime knows no compiler header."""
    found = [
        f"{file.relative_to(ROOT)}: {why}"
        for folder, file, includes in sources()
        if folder is not None
        for include in includes
        if (why := complaint(folder, include))
    ]
    assert found == [], "\n" + "\n".join(found)


def test_foundation_has_no_ring():
    """Among dialects, interfaces, recipes, analyses and the interpreter no folder includes itself by way of others."""
    edges = {}
    for folder, _, includes in sources():
        for include in includes:
            other = folder_of(include) if include.startswith("nibble/") else None
            if folder in FOUNDATION and other in FOUNDATION and other != folder:
                edges.setdefault(folder, set()).add(other)

    def reaches(start, goal, seen):
        for other in edges.get(start, ()):
            if other == goal or (other not in seen and reaches(other, goal, seen | {other})):
                return True
        return False

    assert [folder for folder in sorted(edges) if reaches(folder, folder, {folder})] == []


@pytest.mark.parametrize(
    "folder, include",
    [
        ("Quantize", "nibble/Differentiate/Pipeline.h"),
        ("Quantize", "nibble/Pipeline/Pipeline.h"),
        ("Runtime", "llvm/ADT/StringRef.h"),
        ("Runtime", "nibble/Dialect/NN/IR/NN.h"),
        ("Numerics", "nibble/Runtime/Status.h"),
        ("Codegen/CPU", "nibble/Runtime/Trainer.h"),
        ("Dialect/NN/IR", "nibble/Analysis/Liveness.h"),
        ("Pipeline", "nibble/Driver/Driver.h"),
    ],
)
def test_the_rules_refuse(folder, include):
    """The check itself: each of these includes is one it has to refuse."""
    assert complaint(folder, include)


def test_thermometer():
    """Information, never a failure: files that grew past the size at which to look for a seam."""
    tops = ("include", "lib", "tools", "python", "scripts", "test")
    long = []
    for file in sorted(file for top in tops for file in (ROOT / top).rglob("*")):
        limit = LIMITS.get(file.suffix)
        if limit and file.is_file() and (lines := len(file.read_text().splitlines())) > limit:
            long.append(f"{file.relative_to(ROOT)}: {lines} lines (over {limit})")
    if long:
        warnings.warn("long files:\n  " + "\n  ".join(long), stacklevel=1)
