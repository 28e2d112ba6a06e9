"""run_examples.py TOOL CODE: runs each command that TOOL --help shows (indented by two) and expects that exit code."""

import re
import subprocess
import sys

tool, expected = sys.argv[1], int(sys.argv[2])
text = subprocess.run([tool, "--help"], capture_output=True, text=True, check=True).stdout
text = re.sub(r" *\\\n +", " ", text.split("USAGE")[0])
for command in re.findall(rf"^  ({tool} .*)$", text, re.MULTILINE):
    done = subprocess.run(command, shell=True, capture_output=True, text=True)
    print(f"exit code {done.returncode}: {command}")
    if done.returncode != expected:
        sys.exit(f"exit code {expected} expected\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
