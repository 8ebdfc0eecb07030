"""What of each decoder its fuzz target reaches, by gcov, with its seeds alone, which are kept in the repository.

    python3 -m tests.fuzz_coverage NAME...      prints FUZZ-COVERAGE NAME FILE NN.N % (LINES of LINES), and what is not run;
                                                fails if less than WANTED is reached
    CORPUS=build/fuzz/corpus ...                with that corpus, too

Every line of a decoder's file counts, those where memory is short, too, but for the functions that are named here: no octet
from outside decides whether and how they run.
"""

import glob
import json
import os
import subprocess
import sys

FOLDER = "build/fuzz-coverage"
WANTED = 90.0  # per cent of each file
START_OF_A_CHILD = "set_files set_signals spawn find_program map_child_start"
NAMES_OF_THIS_HOST = "allow_own_addresses add_text copy_list allow_load"  # what there is without a dracd.allow
DECODERS = {
    "access": {"maps/access.c": "", "maps/refusals.c": ""},
    "address": {"dracd/address.c": "", "dracd/lookup_key.c": "", "rpc/prefix.c": "prefix_map_ipv4 prefix_of_sockaddr "
                "prefix_is_loopback prefix_list_add prefix_list_contains prefix_list_done"},
    "allow": {"rpc/allow.c": NAMES_OF_THIS_HOST},
    "answer": {"client/report.c": "", "client/ctl_control.c": ""},
    "blocks": {"dracd/block.c": ""},
    "config": {"dracd/config_parse.c": "", "dracd/config_map.c": "", "dracd/config_check.c": "", "dracd/option.c": "",
               "client/conf_text.c": ""},
    "control": {"dracd/control.c": "", "dracd/control_list.c": "", "dracd/control_maps.c": "", "dracd/control_status.c": "",
                "dracd/answer.c": ""},
    "import": {"dracd/map_child.c": START_OF_A_CHILD, "dracd/drac_row.c": ""},
    "login": {"dracd/login.c": "", "client/words.c": ""},
    "plain": {"dracd/plain.c": ""},
    "policy": {"dracd/policy.c": ""},
    "postlogin": {"client/postlogin_request.c": "",
                  "client/postlogin_login.c": "postlogin_login_say", "client/postlogin_message.c": ""},
    "record": {"dracd/lease.c": ""},
    "reply": {"client/drac_rpc.c": ""},
    "report": {"dracd/report.c": ""},
    "rpc": {"rpc/call.c": "", "rpc/record.c": ""},
    "sessions": {"client/ctl_sessions.c": ""},
    "settings": {"rpc/settings.c": "", "rpc/settings_load.c": ""},
    "socketmap": {"dracd/socketmap.c": ""},
}
AT_A_TIME = 500  # files of a corpus


def run(name):
    """Everything that is kept for a target."""
    files = sorted(glob.glob(f"tests/fuzz/seeds/{name}/*"))
    if os.environ.get("CORPUS"):
        files += sorted(glob.glob(f"{os.environ['CORPUS']}/{name}/*"))
    for first in range(0, len(files), AT_A_TIME):
        subprocess.run([f"{FOLDER}/{name}", *files[first:first + AT_A_TIME]], check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)
    return len(files)


def lines_of(name):
    """By source file, by line: how often it was run; those of the functions left out are not there."""
    data = glob.glob(f"{FOLDER}/{name}-*.gcda")
    told = subprocess.run(["gcov", "--json-format", "--stdout", *data], stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, check=False, text=True).stdout
    lines, seen = {}, set()
    for document in told.splitlines():
        for source in json.loads(document)["files"]:
            left_out = DECODERS[name].get(source["file"], "").split()
            seen.update(function["name"] for function in source["functions"])
            of_file = lines.setdefault(source["file"], {})
            for line in source["lines"]:
                if line.get("function_name") not in left_out:
                    of_file[line["line_number"]] = of_file.get(line["line_number"], 0) + line["count"]
    unknown = set(" ".join(DECODERS[name].values()).split()) - seen
    assert not unknown, f"{name}: there is no function {unknown}"
    return lines


def main(names):
    """Tells of each; returns the number of files of which too little is reached."""
    failed = 0
    for name in names:
        for old in glob.glob(f"{FOLDER}/{name}-*.gcda"):
            os.unlink(old)
        count = run(name)
        lines = lines_of(name)
        for file in DECODERS[name]:
            counts = lines[file]
            covered = sum(number > 0 for number in counts.values())
            missing = " ".join(str(line) for line, number in sorted(counts.items()) if not number)
            share = 100 * covered / len(counts)
            failed += share < WANTED
            print(f"FUZZ-COVERAGE {name} {file} {share:.1f} % ({covered} of {len(counts)}), "
                  f"{count} inputs" + (f"; not run: {missing}" if missing else ""))
    return failed


if __name__ == "__main__":
    sys.exit(1 if main(sys.argv[1:] or sorted(DECODERS)) else 0)
