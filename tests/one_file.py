"""Runs one file of unittest cases and prints a line per case, in the form tests/run-unit counts:

    ok NAME    not ok NAME: why    SKIP NAME: reason

With CASES in the environment it writes them into that file too, where tests/run-all counts.
"""

import importlib.util
import os
import sys
import unittest

from tests import record


class Lines(unittest.TestResult):
    """Says how each case went, at once."""

    @staticmethod
    def _say(line):
        print(line, flush=True)
        record.case(line.replace("\n", "\n    "))

    @staticmethod
    def _name(test):
        return test.id().removeprefix("cases.")

    def addSuccess(self, test):
        super().addSuccess(test)
        self._say(f"ok {self._name(test)}")

    def _bad(self, test, error):
        self._say(f"not ok {self._name(test)}: {error[0].__name__}: {error[1]}")
        print(self._exc_info_to_string(error, test), file=sys.stderr, flush=True)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self._bad(test, err)

    def addError(self, test, err):
        super().addError(test, err)
        self._bad(test, err)

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            self._bad(subtest, err)

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self._say(f"SKIP {self._name(test)}: {reason}")

    def addExpectedFailure(self, test, err):
        super().addExpectedFailure(test, err)
        self._say(f"ok {self._name(test)} (known to fail)")

    def addUnexpectedSuccess(self, test):
        super().addUnexpectedSuccess(test)
        self._say(f"not ok {self._name(test)}: was expected to fail")


def main(path):
    """Load the file under the name `cases` and run what is in it."""
    sys.path.insert(0, os.path.dirname(os.path.abspath(path)))
    spec = importlib.util.spec_from_file_location("cases", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["cases"] = module
    spec.loader.exec_module(module)
    result = Lines()
    unittest.defaultTestLoader.loadTestsFromModule(module).run(result)
    return 0 if result.wasSuccessful() and result.testsRun > 0 else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
