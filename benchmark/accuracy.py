#!/usr/bin/env python3
"""Accuracy of the recipes: runs what is missing, prints the table, checks the bars.

    python benchmark/accuracy.py mnist-lenet          zoo lenet on MNIST, 4 epochs, six recipes
    python benchmark/accuracy.py deep-mlp             the deep MLP of docs/numerics.md, learning rate swept
    python benchmark/accuracy.py cifar-resnet8        zoo resnet8 on cifar10-part, 20 epochs
    python benchmark/accuracy.py cifar-residuals      the same with each choice of what backward keeps, luq and ibm
    python benchmark/accuracy.py TASK --table         print what is there, run nothing

Each run is one nibble-train; seed S decides initial weights, order of samples and random bits. Results
go to benchmark/results/TASK.jsonl as they come, so a campaign may be stopped and started again. Runs of
different revisions are told apart in the table's last line.
"""

import argparse
import concurrent.futures
import math
import re
import statistics
import sys
import threading
from dataclasses import dataclass, field

import common
from common import BenchmarkError, bar

COMMON = ["--batch-size=128", "--optimizer=sgd", "--momentum=0.9", "--schedule=cosine"]


@dataclass(frozen=True)
class Task:
    """One experiment: `variants` maps a row of the table to the arguments that make it."""

    network: str
    epochs: int
    rates: tuple
    variants: dict
    data: object  # a function that returns the path for --data
    check: object  # a function that takes the table and says whether all bars hold
    options: list = field(default_factory=list)


def recipes(*names):
    return {name: ["--recipe=" + name] for name in names}


def teacher_data():
    """The deep MLP's data, made once."""
    from nibble import data

    path = common.WORK / "teacher.npz"
    if not path.exists():
        common.WORK.mkdir(parents=True, exist_ok=True)
        part = path.with_name("teacher.part.npz")
        data.save(str(part), data.teacher())
        part.rename(path)
    return path


@dataclass
class Row:
    """A variant at one learning rate: test accuracy in % and final training loss of each seed that trained to the end."""

    variant: str
    lr: float
    accuracy: list
    loss: list
    milliseconds: list
    stopped: int = 0

    @property
    def mean(self):
        return statistics.mean(self.accuracy)

    @property
    def mean_loss(self):
        return statistics.mean(self.loss)


def standard_error(values):
    return statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else float("nan")


def best(rows, variant):
    """The row of that variant with the best mean accuracy over its learning rates, of those at which every seed trained."""
    return max((r for r in rows if r.variant == variant and not r.stopped), key=lambda r: r.mean)


def have(rows, *variants):
    return {v: best(rows, v) for v in variants if any(r.variant == v and not r.stopped for r in rows)}


def check_mnist(rows):
    """f32 >= 98.9 %, each 4-bit recipe within 0.3 points of it."""
    b = have(rows, *TASKS["mnist-lenet"].variants)
    results = [bar(b["f32"].mean >= 98.9, f"f32 {b['f32'].mean:.2f} >= 98.9")] if "f32" in b else []
    for v in b if "f32" in b else ():
        if v != "f32":
            gap = b["f32"].mean - b[v].mean
            results.append(bar(gap <= 0.3, f"{v} is {gap:.2f} below f32 (at most 0.3)"))
    return all(results) and len(results) == 6


def check_deep_mlp(rows):
    """f32 >= 81.5; w4a4 within 2 of it; luq, ibm+, ibm within 3, 5.5, 9 of w4a4; ibm < ibm+ < luq <= w4a4."""
    b = have(rows, "f32", "w4a4", "luq", "ibm+", "ibm")
    if len(b) < 5:
        return False
    m = {v: r.mean for v, r in b.items()}
    results = [bar(m["f32"] >= 81.5, f"f32 {m['f32']:.2f} >= 81.5"),
               bar(m["f32"] - m["w4a4"] <= 2, f"w4a4 is {m['f32'] - m['w4a4']:.2f} below f32 (at most 2)")]
    for v, limit in (("luq", 3), ("ibm+", 5.5), ("ibm", 9)):
        gap = m["w4a4"] - m[v]
        results.append(bar(gap <= limit, f"{v} is {gap:.2f} below w4a4 (at most {limit})"))
    order = m["ibm"] < m["ibm+"] < m["luq"] <= m["w4a4"]
    results.append(bar(order, "order: ibm {ibm:.2f} < ibm+ {ibm+:.2f} < luq {luq:.2f} <= w4a4 {w4a4:.2f}".format(**m)))
    return all(results)


def check_cifar(rows):
    """Accuracy within 3 points (ibm 5) of f32; training loss f32 < w4a4 <= luq < ibm, <= to within 0.03."""
    b = have(rows, *TASKS["cifar-resnet8"].variants)
    if len(b) < 5:
        return False
    results = []
    for v, limit in (("w4a4", 3), ("w4a4-dynamic", 3), ("luq", 3), ("ibm", 5)):
        gap = b["f32"].mean - b[v].mean
        results.append(bar(gap <= limit, f"{v} is {gap:.2f} below f32 (at most {limit})"))
    loss = {v: r.mean_loss for v, r in b.items()}
    for v in ("w4a4", "w4a4-dynamic"):
        order = loss["f32"] < loss[v] <= loss["luq"] + 0.03 and loss["luq"] < loss["ibm"]
        results.append(bar(order, f"training loss: f32 {loss['f32']:.3f} < {v} {loss[v]:.3f} <= luq "
                                  f"{loss['luq']:.3f} (+ 0.03) < ibm {loss['ibm']:.3f}"))
    return all(results)


def check_residuals(rows):
    """What is kept in fewer bits costs at most 1 point (bf16: half a point) of what is kept as it is."""
    results = []
    for recipe in ("luq", "ibm"):
        b = have(rows, *[f"{recipe}-{kept}" for kept in ("f32", "bf16", "int8", "int4")])
        for kept, limit in (("bf16", 0.5), ("int8", 1), ("int4", 1)):
            if f"{recipe}-f32" in b and f"{recipe}-{kept}" in b:
                gap = b[f"{recipe}-f32"].mean - b[f"{recipe}-{kept}"].mean
                results.append(bar(gap <= limit, f"{recipe}: {kept} is {gap:.2f} below f32 (at most {limit})"))
    return all(results) and len(results) == 6


TASKS = {
    "mnist-lenet": Task(
        "lenet", 4, (0.05,), recipes("f32", "w4a4", "ibm", "ibm+", "luq", "int4"),
        lambda: common.data("mnist"), check_mnist),
    "deep-mlp": Task(
        "deep-mlp", 5, (0.03, 0.06, 0.12), recipes("f32", "w4a4", "luq", "ibm+", "ibm"),
        teacher_data, check_deep_mlp,
        ["--first-last=float", "--weight-decay=1e-4", "--pact-init=6", "--pact-floor=0.05"]),
    "cifar-resnet8": Task(
        "resnet8", 20, (0.05,),
        {**recipes("f32", "w4a4"), "w4a4-dynamic": ["--recipe=w4a4", "--activations=dynamic"],
         **recipes("luq", "int4", "ibm+", "ibm")},
        lambda: common.data("cifar10-part"), check_cifar,
        ["--normalize=auto", "--weight-decay=1e-4", "--residuals=bf16"]),
    "cifar-residuals": Task(
        "resnet8", 20, (0.05,),
        {f"{recipe}-{kept}": [f"--recipe={recipe}", f"--residuals={kept}"]
         for recipe in ("luq", "ibm") for kept in ("f32", "bf16", "int8", "int4", "recompute")},
        lambda: common.data("cifar10-part"), check_residuals, ["--normalize=auto", "--weight-decay=1e-4"]),
}

F32_TAKES_NOT = ("--first-last", "--pact-init", "--pact-floor", "--residuals")  # they mean nothing without 4-bit products


def arguments_of(task, variant, lr, seed):
    """All arguments of one run but paths and threads; they are the key of its result."""
    options = [o for o in task.options
               if variant != "f32" or not o.startswith(F32_TAKES_NOT)]
    return [*COMMON, f"--epochs={task.epochs}", f"--lr={lr}", f"--seed={seed}", *task.variants[variant], *options]


def key_of(name, task, variant, lr, seed):
    return " ".join([name, *arguments_of(task, variant, lr, seed)])


LOCK = threading.Lock()


def run_one(store, name, task, variant, lr, seed, threads):
    """One training; its result is stored before this returns."""
    arguments = ["--data", task.data(), *arguments_of(task, variant, lr, seed), f"--threads={threads}"]
    try:
        done = common.train(common.zoo_model(task.network, seed), arguments)
    except BenchmarkError as error:
        stopped = re.search(r"training stopped at step .*", str(error))
        if not stopped:
            raise
        with LOCK:  # a result too: at this rate the recipe does not train from this seed
            store.add(key_of(name, task, variant, lr, seed), task=name, variant=variant, lr=lr, seed=seed,
                      threads=threads, command=str(error).splitlines()[0], ended=stopped[0])
            print(f"{name} {variant} lr {lr} seed {seed}: {stopped[0]}", flush=True)
        return
    last = common.epochs(done)[-1]
    with LOCK:
        record = store.add(key_of(name, task, variant, lr, seed), task=name, variant=variant, lr=lr, seed=seed,
                           threads=threads, command=done["command"], train_loss=last["loss"],
                           test_accuracy=100 * last["val_accuracy"], ms_per_step=last["ms"],
                           seconds=round(done["seconds"], 1), peak_mb=round(done["peak_mb"]))
        print(f"{name} {variant} lr {lr} seed {seed}: loss {record['train_loss']:.4f} test "
              f"{record['test_accuracy']:.2f} % {record['ms_per_step']:.2f} ms/step", flush=True)


def missing(store, name, task, a):
    # Seeds outermost: a stopped campaign has whole tables of fewer seeds.
    return [(v, lr, s) for s in a.seeds for lr in a.rates or task.rates for v in a.variants or task.variants
            if not store.find(key_of(name, task, v, lr, s))]


def campaign(store, name, task, a):
    """Runs what is missing; a run that fails is named and the others go on."""
    work, failed = missing(store, name, task, a), []
    print(f"{name}: {len(work)} runs to do", flush=True)
    if work:
        task.data(), [common.zoo_model(task.network, s) for s in a.seeds]  # made before threads share them

    def one(item):
        try:
            run_one(store, name, task, *item, a.threads)
        except BenchmarkError as error:
            failed.append(item)
            print(f"FAILED {item}: {error}", file=sys.stderr, flush=True)

    with concurrent.futures.ThreadPoolExecutor(a.jobs) as pool:
        list(pool.map(one, work))
    return not failed


def table(store, name, task, seeds):
    """Rows of what is stored, by variant and learning rate, over `seeds`."""
    rows = []
    for variant in task.variants:
        for lr in task.rates:
            found = [r for r in (store.find(key_of(name, task, variant, lr, s)) for s in seeds) if r]
            done = [r for r in found if "ended" not in r]
            if done:
                rows.append(Row(variant, lr, [r["test_accuracy"] for r in done], [r["train_loss"] for r in done],
                                [r["ms_per_step"] for r in done], len(found) - len(done)))
    return rows


def print_table(store, name, task, rows):
    print(f"\n{name}: zoo {task.network}, {task.epochs} epochs, mean and standard error")
    print(f"{'recipe':<14}{'lr':>6}{'seeds':>7}{'test %':>9}{'s.e.':>7}{'loss':>9}{'s.e.':>8}{'ms/step':>9}")
    for r in rows:
        print(f"{r.variant:<14}{r.lr:>6}{len(r.accuracy):>7}{r.mean:>9.2f}{standard_error(r.accuracy):>7.2f}"
              f"{r.mean_loss:>9.4f}{standard_error(r.loss):>8.4f}{statistics.median(r.milliseconds):>9.2f}"
              + (f"  {r.stopped} more stopped: diverged, or a layer died" if r.stopped else ""))
    revisions = sorted({r["revision"] for r in store.records})
    print(f"revisions: {', '.join(revisions)}; cpu: {', '.join(sorted({r['machine']['cpu'] for r in store.records}))}")


def parser():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("task", choices=TASKS, help="the experiment")
    p.add_argument("--seeds", type=lambda t: [int(s) for s in t.split(",")], default=[0, 1, 2], metavar="0,1,2")
    p.add_argument("--variants", type=lambda t: t.split(","), metavar="f32,luq", help="only these rows")
    p.add_argument("--rates", type=lambda t: [float(s) for s in t.split(",")], metavar="0.03,0.06",
                   help="only these learning rates of the task's")
    p.add_argument("--jobs", type=int, default=1, help="trainings at the same time (default: 1)")
    p.add_argument("--threads", type=int, default=1, help="threads of each (default: 1; no effect on the numbers)")
    p.add_argument("--table", action="store_true", help="run nothing, print the table and check the bars")
    return p


def main():
    a = parser().parse_args()
    task, store = TASKS[a.task], common.Store(a.task)
    unknown = [v for v in a.variants or () if v not in task.variants]
    unknown += [str(r) for r in a.rates or () if r not in task.rates]
    if unknown:
        sys.exit(f"{a.task} has no {', '.join(unknown)}; rows: {', '.join(task.variants)}; rates: {task.rates}")
    try:
        whole = a.table or campaign(store, a.task, task, a)
    except BenchmarkError as error:
        sys.exit(f"error: {error}")
    rows = table(store, a.task, task, a.seeds)
    if not rows:
        sys.exit("no results yet")
    print_table(store, a.task, task, rows)
    sys.exit(0 if task.check(rows) and whole else 1)


if __name__ == "__main__":
    main()
