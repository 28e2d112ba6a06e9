"""Laws of the generator of damaged files: decided by the seed, every way used, the files do differ."""

import damage
from nibble.graph import to_bytes


def test_same_seed_same_files(tmp_path):
    """SEED and COUNT decide every byte."""
    for folder in ("a", "b"):
        damage.write(5, 30, tmp_path / folder)
    for file in sorted((tmp_path / "a").iterdir()):
        assert file.read_bytes() == (tmp_path / "b" / file.name).read_bytes()


def test_hundred_files_use_every_way(tmp_path):
    """The 100 files of CI cover all ways, and none equals its original."""
    manifest = damage.write(1, 100, tmp_path)
    ways = len(damage.damage_bytes.WAYS) + len(damage.damage_model.WAYS) + len(damage.damage_nodes.WAYS)
    assert len({m["way"] for m in manifest}) == ways
    originals = {n: to_bytes(m) for n, m in damage.originals().items()}
    for m in manifest:
        assert (tmp_path / m["file"]).read_bytes() != originals[m["from"]], m
