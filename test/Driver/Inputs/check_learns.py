"""check_learns.py LOG BOUND: the last epoch's validation loss is below BOUND, and below the first epoch's."""

import json
import sys

epochs = [r for r in map(json.loads, open(sys.argv[1])) if r["type"] == "epoch"]
first, last = epochs[0]["val_loss"], epochs[-1]["val_loss"]
print(f"validation loss {first:.3f} to {last:.3f}, accuracy {epochs[-1]['val_accuracy']:.3f}")
assert last < first and last < float(sys.argv[2])
assert 0.2 < epochs[-1]["val_accuracy"] <= 1
