"""Line coverage of a whole run of the tests, by gcov.

    B=build/cc-coverage python3 -m tests.coverage.report

Runs tests/run-all on programs that were built with COVERAGE=1, and prints

    COVERAGE FILE NN.N %  (LINES of LINES)     for each file, each folder, and the pure rules

Fails if a test fails, or if too little of a pure rule is covered. A program that is killed with
SIGKILL takes its counters with it.
"""

import collections
import glob
import json
import os
import subprocess
import sys

FOLDERS = ("dracd", "maps", "client", "rpc")

# What decides or decodes, without a clock, a file or a socket of its own: everything is in its
# arguments, so that a line without a test is a line that nobody has thought about.
PURE_RULES = (
    "dracd/address.c", "dracd/answer.c", "dracd/block.c", "dracd/clock.c", "dracd/config.c",
    "dracd/config_check.c", "dracd/config_parse.c", "dracd/guard.c", "dracd/lease.c", "dracd/login.c", "dracd/lookup.c",
    "dracd/lookup_key.c", "dracd/option.c", "dracd/plain.c", "dracd/policy.c", "dracd/prefix_set.c",
    "dracd/socketmap.c", "dracd/stats.c",
    "maps/access.c", "maps/key.c", "maps/refusals.c",
    "client/postlogin_login.c", "client/postlogin_request.c", "client/words.c",
    "dracd/drac_row.c",
    "rpc/allow.c", "rpc/call.c", "rpc/duplicates.c", "rpc/prefix.c", "rpc/quota.c", "rpc/record.c",
)
PURE_PERCENT = 90


def reset(build):
    """Empty files for all counters: processes of several accounts add to them, within chroots."""
    for notes in glob.glob(f"{build}/**/*.gcno", recursive=True):
        path = notes.removesuffix("gcno") + "gcda"
        with open(path, "w", encoding="ascii"):
            os.chmod(path, 0o666)


def counted_lines(build):
    """By source file, by line: how often it was run."""
    lines = collections.defaultdict(lambda: collections.defaultdict(int))
    data = [path for folder in (*FOLDERS, "pic/client") for path in sorted(glob.glob(f"{build}/{folder}/*.gcda"))]
    # what was never run has an empty file, which gcov mentions and counts as nothing
    # a source of data alone has no functions, which to gcov is a failure in the end
    told = subprocess.run(["gcov", "--json-format", "--stdout", *data], stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, check=False, text=True).stdout
    if not told:
        raise OSError("gcov tells nothing")
    for document in told.splitlines():
        for source in json.loads(document)["files"]:
            if source["file"].partition("/")[0] in FOLDERS:
                for line in source["lines"]:
                    lines[source["file"]][line["line_number"]] += line["count"]
    return lines


def tell(name, files, lines):
    """Prints one line about some files; returns the percentage."""
    all_lines = [count for file in files for count in lines[file].values()]
    covered = sum(count > 0 for count in all_lines)
    percent = 100.0 * covered / len(all_lines) if all_lines else 0.0
    print(f"COVERAGE {name:32} {percent:5.1f} %  ({covered} of {len(all_lines)})")
    return percent


def uncovered(files, lines):
    """The lines that were not run, for who wants to write their test."""
    for file in files:
        missing = sorted(number for number, count in lines[file].items() if not count)
        if missing:
            print(f"  not run: {file}: {' '.join(map(str, missing))}")


def report(build):
    """True if the pure rules are covered."""
    lines = counted_lines(build)
    poor = []
    for file in sorted(lines):
        percent = tell(file, [file], lines)
        if file in PURE_RULES and percent < PURE_PERCENT:
            poor.append(file)
    for folder in FOLDERS:
        tell(f"{folder}/", [file for file in lines if file.startswith(f"{folder}/")], lines)
    tell("all", list(lines), lines)
    percent = tell("pure rules", PURE_RULES, lines)
    uncovered(PURE_RULES, lines)
    for file in poor:
        print(f"coverage: {file} is a pure rule, and less than {PURE_PERCENT} % of it are run")
    return not poor and percent >= PURE_PERCENT


def main():
    """Run everything, then count."""
    build = os.environ["B"]
    reset(build)
    kills = {"KILLS": "20", **os.environ}  # more of them run no other lines
    status = subprocess.run(["tests/run-all"], env=kills, check=False).returncode
    counts_ok = report(build)
    return 0 if status == 0 and counts_ok else 1


if __name__ == "__main__":
    sys.exit(main())
