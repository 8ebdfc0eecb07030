"""What of each decoder its fuzz target reaches, by gcov, with its seeds and its corpus of build/fuzz.

    python3 -m tests.fuzz_coverage NAME...      prints FUZZ-COVERAGE NAME FILE NN.N % (LINES of LINES), and what is not run
"""

import glob
import json
import os
import subprocess
import sys

FOLDER = "build/fuzz-coverage"
DECODERS = {
    "access": ["maps/access.c"],
    "address": ["dracd/address.c"],
    "blocks": ["dracd/block.c"],
    "config": ["dracd/config_parse.c", "dracd/config_map.c", "dracd/option.c"],
    "import": ["dracd/map_child.c", "dracd/drac_row.c"],
    "login": ["dracd/login.c", "client/words.c"],
    "plain": ["dracd/plain.c"],
    "policy": ["dracd/policy.c"],
    "postlogin": ["client/postlogin_request.c"],
    "record": ["dracd/lease.c"],
    "rpc": ["rpc/call.c", "rpc/record.c"],
    "sessions": ["client/ctl_sessions.c"],
    "socketmap": ["dracd/socketmap.c"],
}
AT_A_TIME = 500  # files of a corpus


def run(name):
    """Everything that is kept for a target."""
    files = sorted(glob.glob(f"tests/fuzz/seeds/{name}/*") + glob.glob(f"build/fuzz/corpus/{name}/*"))
    for first in range(0, len(files), AT_A_TIME):
        subprocess.run([f"{FOLDER}/{name}", *files[first:first + AT_A_TIME]], check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)
    return len(files)


def lines_of(name):
    """By source file, by line: whether it was run."""
    data = glob.glob(f"{FOLDER}/{name}-*.gcda")
    told = subprocess.run(["gcov", "--json-format", "--stdout", *data], stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, check=False, text=True).stdout
    lines = {}
    for document in told.splitlines():
        for source in json.loads(document)["files"]:
            of_file = lines.setdefault(source["file"], {})
            for line in source["lines"]:
                of_file[line["line_number"]] = of_file.get(line["line_number"], 0) + line["count"]
    return lines


def main(names):
    """Tells of each."""
    for name in names:
        for old in glob.glob(f"{FOLDER}/{name}-*.gcda"):
            os.unlink(old)
        count = run(name)
        lines = lines_of(name)
        for file in DECODERS[name]:
            counts = lines[file]
            covered = sum(number > 0 for number in counts.values())
            missing = " ".join(str(line) for line, number in sorted(counts.items()) if not number)
            print(f"FUZZ-COVERAGE {name} {file} {100 * covered / len(counts):.1f} % ({covered} of {len(counts)}), "
                  f"{count} inputs" + (f"; not run: {missing}" if missing else ""))


if __name__ == "__main__":
    main(sys.argv[1:] or sorted(DECODERS))
