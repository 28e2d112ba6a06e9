"""Adds up what lit and pytest counted and prints 'N passed, N failed, N skipped'.

usage: count_tests.py LIT.json PYTEST.xml

Exit code 1 when something failed, or when nothing ran at all.
"""

import json
import sys
import xml.etree.ElementTree as xml

LIT_FAILED = {"FAIL", "XPASS", "TIMEOUT", "UNRESOLVED"}
LIT_SKIPPED = {"UNSUPPORTED", "SKIPPED", "EXCLUDED"}


def count_lit(path):
    with open(path) as file:
        codes = [test["code"] for test in json.load(file)["tests"]]
    failed = sum(code in LIT_FAILED for code in codes)
    skipped = sum(code in LIT_SKIPPED for code in codes)
    return len(codes) - failed - skipped, failed, skipped


def count_pytest(path):
    passed = failed = skipped = 0
    for suite in xml.parse(path).getroot().iter("testsuite"):
        bad = int(suite.get("failures")) + int(suite.get("errors"))
        skip = int(suite.get("skipped"))
        failed += bad
        skipped += skip
        passed += int(suite.get("tests")) - bad - skip
    return passed, failed, skipped


def main(lit_json, pytest_xml):
    passed, failed, skipped = (a + b for a, b in zip(count_lit(lit_json), count_pytest(pytest_xml)))
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
