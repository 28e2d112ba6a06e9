"""Runs damaged files through nibble-read-files and judges what it says."""

import json
import os
import subprocess

# Containers and arenas cross between our instrumented code and LLVM's, which is not instrumented.
SANITIZERS = {
    "ASAN_OPTIONS": "detect_container_overflow=0:allow_user_poisoning=0:detect_leaks=0:quarantine_size_mb=32:abort_on_error=1:"
                    "max_allocation_size_mb=4000",
    "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1:abort_on_error=1",
}
UNPARSED = "is not an ONNX file, or it is truncated or damaged"


def kind_of(entry, index, object_every):
    """What nibble-read-files is asked to do with a file."""
    if entry["kind"] == "model":
        return "object" if object_every and index % object_every == 0 else "planned"
    return "checkpoint" if entry["kind"] == "checkpoint" else "data"


def read_files(binary, folder, manifest, object_every=0, export="", nice=0):
    """Returns the harness's objects, each with its line of the manifest as `entry`."""
    lines, entries = [], {}
    for index, entry in enumerate(manifest):
        path = str(folder / entry["file"])
        entries[path] = entry
        lines.append(f"{kind_of(entry, index, object_every)}\t{index}\t{path}\n")
    command = [str(binary)] + (["--export", str(export)] if export else [])
    done = subprocess.run(command, input="".join(lines), capture_output=True, text=True, check=False, errors="replace",
                          env={**os.environ, **SANITIZERS}, preexec_fn=lambda: os.nice(nice))
    results = [json.loads(line) for line in done.stdout.splitlines()]
    for result in results:
        result["entry"] = entries[result["path"]]
        text = result.get("text", "")
        if result["entry"].get("must_refuse") and result.get("accepted"):
            result["failure"] = "accepted, although its data lie outside the model's folder"
        elif text.startswith("internal"):
            result["failure"] = "an internal error: " + text
    if len(results) != len(manifest):
        raise RuntimeError(f"{len(results)} answers for {len(manifest)} files: {done.stderr[-2000:]}")
    return results


def failures(results):
    return [r for r in results if "failure" in r]


def describe(failure):
    """One paragraph about a failure."""
    entry = failure["entry"]
    lines = [line for line in failure.get("text", "").splitlines() if line.strip()]
    telling = [line for line in lines if "ERROR" in line or "runtime error" in line or "Assertion" in line or "SUMMARY" in line]
    return f"FAIL {failure['path']} ({entry['way']}: {str(entry['detail'])[:200]!r}): {failure['failure']}\n     " + \
        "\n     ".join((telling or lines)[:3])[:600]


def summary(results):
    """What a campaign's line says of its files."""
    models = [r for r in results if r["entry"]["kind"] == "model"]
    row = {"files": len(results), "accepted": sum(r.get("accepted", False) for r in results),
           "failures": len(failures(results)),
           "most_megabytes": round(max((r.get("megabytes", 0) for r in results), default=0)),
           "most_seconds": round(max((r.get("seconds", 0) for r in results), default=0), 2),
           "processor_seconds": round(sum(r.get("seconds", 0) for r in results), 1)}
    if models:
        row["past_protobuf"] = sum(UNPARSED not in r.get("text", "") for r in models)
    return row
