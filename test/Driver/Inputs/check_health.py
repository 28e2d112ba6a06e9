"""check_health.py PLAIN_LOG HEALTH_LOG: see health.test."""

import json
import sys

plain, health = ([json.loads(line) for line in open(path)] for path in sys.argv[1:3])
steps = [[r for r in log if r["type"] == "step"] for log in (plain, health)]
assert [r["loss"] for r in steps[0]] == [r["loss"] for r in steps[1]]

last = [r for r in steps[1] if "layers" in r][-1]["layers"]
assert {layer["name"] for layer in last} == {"conv1", "conv2", "conv3", "fc"}
for layer in last:
    for tensor in (layer, layer["input"], layer["weight"]):
        # SQNR in dB is that of a noise which the gain allows: ‖x − q‖² ≥ (1 − gain)²·‖x‖² (Cauchy–Schwarz).
        assert 0.5 < tensor["gain"] < 1.5 and tensor["sqnr"] > 0, (layer["name"], tensor)
        assert 10 ** (-tensor["sqnr"] / 10) >= (1 - tensor["gain"]) ** 2 - 1e-4, (layer["name"], tensor)
# Eight bits are better than four.
assert min(l["weight"]["sqnr"] for l in last if l["name"] in ("conv1", "fc")) > max(
    l["weight"]["sqnr"] for l in last if l["name"] in ("conv2", "conv3"))
assert all("gain" not in layer and "gain" not in layer["input"] for r in steps[0] for layer in r.get("layers", []))
