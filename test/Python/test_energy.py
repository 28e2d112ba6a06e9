"""What benchmark/energy.py reads of a folder laid out as Linux's powercap is."""

import importlib.util
import pathlib

import pytest

SOURCE = pathlib.Path(__file__).resolve().parents[2] / "benchmark" / "energy.py"
ZONES = {"intel-rapl:0": "package-0", "intel-rapl:0:0": "core", "intel-rapl:1": "package-1", "intel-rapl:2": "psys"}


@pytest.fixture
def energy(tmp_path, monkeypatch):
    monkeypatch.setenv("NIBBLE_POWERCAP", str(tmp_path))
    spec = importlib.util.spec_from_file_location("energy", SOURCE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def write(folder, **microjoules):
    """Zones of a machine with two packages; a zone that is not named stays at 7."""
    for zone, name in ZONES.items():
        (folder / zone).mkdir(exist_ok=True)
        (folder / zone / "name").write_text(name + "\n")
        (folder / zone / "max_energy_range_uj").write_text("100000000\n")
        (folder / zone / "energy_uj").write_text(f"{microjoules.get(name.replace('-', ''), 7)}\n")


def test_packages_add_up_and_nothing_counts_twice(energy, tmp_path):
    write(tmp_path, package0=1_000_000, package1=5_000_000)
    before = energy.read()
    write(tmp_path, package0=3_500_000, package1=5_250_000, core=2_000_000, psys=9_000_000)
    assert energy.joules(before, energy.read()) == pytest.approx(2.75)


def test_a_counter_that_began_again_is_followed(energy, tmp_path):
    write(tmp_path, package0=99_000_000)
    before = energy.read()
    write(tmp_path, package0=500_000)
    assert energy.joules(before, energy.read()) == pytest.approx(1.5)


def test_without_counters_there_are_no_joules(energy, tmp_path):
    assert energy.read() is None
    assert energy.joules(None, [1]) is None and energy.joules([1], None) is None
    assert "no readable counter" in energy.state()
    tmp_path.rmdir()
    assert energy.read() is None and "does not exist" in energy.state()
