"""Random tables against an oracle: a sample of what `make differential` does with ten thousand."""
import os
import random
import shutil
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
from tests.differential import mta, run  # noqa: E402

TABLES = int(os.environ.get("DIFFERENTIAL_TABLES", "40"))
TOOLS = ("db5.3_dump", "mdb_dump", "cdb")


@unittest.skipUnless(all(map(shutil.which, TOOLS)), f"needs {', '.join(TOOLS)} (see tests/packages)")
class Differential(unittest.TestCase):
    def test_lookups_and_files_agree_with_the_oracle(self):
        seed = int(os.environ.get("DIFFERENTIAL_SEED", random.SystemRandom().getrandbits(32)))
        kinds = {name: kind for name, kind in mta.KINDS.items()
                 if "nobdb" not in os.environ.get("B", "") or kind.suffix != ".db"}
        rows, answers = run.run(TABLES, seed, kinds, say=lambda line: None)
        self.assertGreater(rows, TABLES)
        self.assertGreater(answers, rows)


if __name__ == "__main__":
    unittest.main()
