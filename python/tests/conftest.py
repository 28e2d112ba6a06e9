"""Makes the package importable from the tree, installed or not."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "python"))
sys.path.insert(0, str(ROOT / "test" / "Fuzz"))
sys.path.insert(0, str(ROOT / "benchmark"))
