"""exit_code.py CODE COMMAND...: runs the command; succeeds if it ends with that exit code."""

import subprocess
import sys

expected = int(sys.argv[1])
found = subprocess.run(sys.argv[2:]).returncode
if found != expected:
    sys.exit(f"exit code {expected} expected, found {found}")
