"""Where tests/run-all counts: the file that CASES names, if there is one."""

import os


def case(line):
    """Note a line that begins with ok, not ok or SKIP."""
    if "CASES" in os.environ:
        with open(os.environ["CASES"], "a", encoding="utf-8") as file:
            file.write(line + "\n")
