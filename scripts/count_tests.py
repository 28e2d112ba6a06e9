"""Adds up what lit and pytest counted and prints 'N passed, N failed, N skipped'.

usage: count_tests.py LIT.log PYTEST.xml

Exit code 1 when something failed, or when nothing ran at all.
"""

import re
import sys
import xml.etree.ElementTree as xml

# lit's own summary is read and not its JSON report: the report leaves out skipped tests.
LIT_LINE = re.compile(r"^  ([A-Z][A-Za-z ]*?) *: +(\d+)", re.M)
LIT_PASSED = {"Passed", "Passed With Retry", "Expectedly Failed"}
LIT_SKIPPED = {"Skipped", "Unsupported", "Excluded"}


def count_lit(path):
    passed = failed = skipped = 0
    with open(path) as file:
        summary = file.read().rpartition("Total Discovered Tests:")[2]
    for label, count in LIT_LINE.findall(summary):
        if label in LIT_PASSED:
            passed += int(count)
        elif label in LIT_SKIPPED:
            skipped += int(count)
        else:
            failed += int(count)
    return passed, failed, skipped


def count_pytest(path):
    passed = failed = skipped = 0
    for suite in xml.parse(path).getroot().iter("testsuite"):
        bad = int(suite.get("failures")) + int(suite.get("errors"))
        skip = int(suite.get("skipped"))
        failed += bad
        skipped += skip
        passed += int(suite.get("tests")) - bad - skip
    return passed, failed, skipped


def main(lit_log, pytest_xml):
    lit, py = count_lit(lit_log), count_pytest(pytest_xml)
    passed, failed, skipped = (a + b for a, b in zip(lit, py))
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
