"""Laws of the benchmark scripts: what is stored is not run again, other arguments are, bars can fail."""

import json

import accuracy
import common
import networks
import numpy as np
import pytest

TRAINER = """#!/bin/sh
echo "$@" >> {calls}
while [ "$1" != --log ]; do shift; done
echo '{{"type": "epoch", "epoch": 1, "loss": 0.5, "val_accuracy": 0.9, "ms": 4.0}}' > "$2"
"""


@pytest.fixture
def campaign(tmp_path, monkeypatch):
    """Runs a campaign of accuracy.py with a stand-in for nibble-train; returns the commands it made."""
    calls = tmp_path / "calls"
    trainer = tmp_path / "nibble-train"
    trainer.write_text(TRAINER.format(calls=calls))
    trainer.chmod(0o755)
    monkeypatch.setattr(common, "BIN", tmp_path)
    monkeypatch.setattr(common, "WORK", tmp_path / "work")
    monkeypatch.setattr(common, "RESULTS", tmp_path / "results")
    task = accuracy.Task("lenet", 1, (0.05,), accuracy.recipes("f32", "luq"), lambda: tmp_path, lambda rows: True)

    def run(seeds):
        store = common.Store("test")
        calls.write_text("")
        arguments = accuracy.parser().parse_args(["mnist-lenet", "--seeds", seeds])
        assert accuracy.campaign(store, "test", task, arguments)
        return calls.read_text().splitlines(), accuracy.table(store, "test", task, arguments.seeds)

    return run


def test_campaign_resumes(campaign):
    """Each (recipe, seed) runs once over several starts; every record says command, machine, revision."""
    first, _ = campaign("0")
    second, rows = campaign("0,1")
    assert len(first) == 2 and len(second) == 2
    assert all("--seed=1" in command for command in second)
    assert campaign("0,1")[0] == []
    assert [(r.variant, r.accuracy, r.mean_loss) for r in rows] == [("f32", [90, 90], 0.5), ("luq", [90, 90], 0.5)]
    record = json.loads((common.RESULTS / "test.jsonl").read_text().splitlines()[0])
    assert {"command", "machine", "revision", "date", "seed"} <= set(record)


def rows(**values):
    return [accuracy.Row(v.replace("_", "-").replace("ibmp", "ibm+"), 0.05, [a], [loss], [1])
            for v, (a, loss) in values.items()]


def test_bars_hold_and_fail():
    """Each task's bars accept the recorded simulation of the issue and refuse a changed order."""
    mlp = dict(f32=(83.2, 0), w4a4=(82.1, 0), luq=(79.8, 0), ibmp=(77.7, 0), ibm=(74.5, 0))
    assert accuracy.check_deep_mlp(rows(**mlp))
    assert not accuracy.check_deep_mlp(rows(**{**mlp, "ibm": (78.0, 0)}))
    cifar = dict(f32=(58.1, 0.487), w4a4=(58.2, 0.678), w4a4_dynamic=(59.2, 0.663), luq=(58.8, 0.682), ibm=(57.1, 0.833))
    assert accuracy.check_cifar(rows(**cifar))
    assert not accuracy.check_cifar(rows(**{**cifar, "luq": (58.8, 0.84)}))
    mnist = dict(f32=(99.12, 0), w4a4=(99.16, 0), ibm=(99.09, 0), ibmp=(99.05, 0), luq=(99.16, 0), int4=(99.0, 0))
    assert accuracy.check_mnist(rows(**mnist))
    assert not accuracy.check_mnist(rows(**{**mnist, "int4": (98.8, 0)}))
    del mnist["int4"]
    assert not accuracy.check_mnist(rows(**mnist)), "a table with a missing row is no evidence"


def test_idx_bytes(tmp_path):
    """What networks.py writes as IDX reads back: magic, sizes, data."""
    import gzip

    array = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(networks.idx_bytes(array)))
    assert (networks.read_idx(path) == array).all()
