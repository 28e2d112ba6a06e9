"""Laws of the generator of damaged files: decided by the seed, every way used, the files do differ."""

import damage
from nibble.graph import to_bytes
from seed_networks import originals


def files(folder):
    return [f for f in sorted((folder / "models").iterdir()) if f.suffix == ".onnx"]


def test_same_seed_same_files(tmp_path):
    """SEED and COUNT decide every byte."""
    for folder in ("a", "b"):
        damage.write(5, 30, tmp_path / folder)
    assert len(files(tmp_path / "a")) == 30
    for file in files(tmp_path / "a"):
        assert file.read_bytes() == (tmp_path / "b" / "models" / file.name).read_bytes()


def test_as_many_files_as_turns_use_every_way(tmp_path):
    """The ways take turns, and no file equals its original."""
    ways = damage.ways()
    manifest = damage.write(1, len(ways), tmp_path)
    assert {m["way"] for m in manifest} == {function.__name__ for _, function in ways}
    whole = {n: to_bytes(m) for n, m in originals()[0].items()}
    for m in manifest:
        assert (tmp_path / m["file"]).read_bytes() != whole[m["from"]], m
