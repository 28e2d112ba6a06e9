"""Energy counters of the processor's packages, as Linux shows them (powercap, RAPL), where they can be read.

Only whole packages count: their parts (cores, graphics) are in them, and a zone "psys" is the whole machine. Reading needs root on most
systems, and most virtual machines have no counters.
"""

import os
from pathlib import Path

FOLDER = Path(os.environ.get("NIBBLE_POWERCAP", "/sys/class/powercap"))


def counters():
    """(file, microjoules at which it begins again) of every package."""
    found = []
    for zone in sorted(FOLDER.glob("*-rapl:*")) if FOLDER.exists() else ():
        file = zone / "energy_uj"
        if os.access(file, os.R_OK) and (zone / "name").read_text().startswith("package"):
            found.append((file, int((zone / "max_energy_range_uj").read_text())))
    return found


def read():
    """Where the counters stand now; None where there are none to read."""
    return [int(file.read_text()) for file, _ in counters()] or None


def joules(before, after):
    """Between two readings; None where one of them is. A counter that has begun again since is followed over that."""
    if not before or not after:
        return None
    return sum((b - a) % top if b < a else b - a for a, b, (_, top) in zip(before, after, counters(), strict=True)) * 1e-6


def state():
    """For people: what can be read here, or why nothing."""
    if not FOLDER.exists():
        return f"energy: not measured, {FOLDER} does not exist"
    return "energy: joules a step of the processor's packages" if counters() else f"energy: not measured, no readable counter in {FOLDER}"
