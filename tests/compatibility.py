"""The README's compatibility tables, made of what the runs have found out (tests/interop/facts.py).

    python3 -m tests.compatibility                   prints it
    python3 -m tests.compatibility --write           puts it into README.md: `make compatibility`
    python3 -m tests.compatibility --check RELEASE   is the README true for the run of this release?

The check compares whole rows, cell by cell; of versions it compares the first two numbers. Debian
moves the rest with its point releases and security updates (Postfix 3.10.4 became 3.10.13), which
changes nothing for the reader; 3.11 in place of 3.10 would. A release that the README does not speak
of is a skip, which is a failure in CI.
"""

import os
import re
import sys

from tests import record
from tests.interop import facts

BEGIN = "<!-- written by `make compatibility`, from the runs: do not edit -->\n"
END = "<!-- end of what `make compatibility` writes -->\n"
WAYS = {  # as the README's sections call them
    "postfix-policy": ("Postfix", "policy"),
    "postfix-socketmap": ("Postfix", "socketmap"),
    "postfix-hash": ("Postfix", "hash"),
    "sendmail-drac-socket": ("Sendmail", "FEATURE(drac), socket"),
    "sendmail-drac-hash": ("Sendmail", "FEATURE(drac), hash"),
    "sendmail-access": ("Sendmail", "access_db"),
    "exim-readsocket": ("Exim", "readsocket"),
    "exim-iplsearch": ("Exim", "iplsearch"),
}
SERVERS = ("Postfix", "Sendmail", "Exim")
HELPERS = {"serve": "service of its own", "script": "script-login"}
FAMILIES = ("IPv4", "IPv6")
HEAD = ["system", "login at", "relay by"] + \
    [f"{helper}, {family}" for helper in HELPERS.values() for family in FAMILIES]
EVERYTHING = ["IPv4", "IPv6", "/64"]
FORMATS_HEAD = ["system", "relay by", "addresses and networks (/64)", "addresses only", "not"]


def _cell(found, mta, helper, family):
    """The protocols by which a login led to a lease and back; those that did not are named too."""
    tried = {login["protocol"].upper(): login["passed"] for login in found["logins"]
             if (login["mta"], login["helper"], login["family"]) == (mta, helper, family)}
    good = ", ".join(protocol for protocol, passed in tried.items() if passed)
    bad = ", ".join(f"{protocol} fails" for protocol, passed in tried.items() if not passed)
    return "; ".join(part for part in (good, bad) if part) or "not tried"


def rows(found):
    """The rows of one release."""
    servers = found["servers"]
    return [[found["release"], f"Dovecot {servers['Dovecot']}", f"{server} {servers[server]}, {way}"]
            + [_cell(found, mta, helper, family) for helper in HELPERS for family in FAMILIES]
            for mta, (server, way) in WAYS.items()]


def way_of(mta):
    """What a row of the second table calls a way: as the recipes do."""
    return mta.partition("-")[2].replace("drac-", "FEATURE(drac) ").replace("access", "access_db").replace(
        "sequence", "access_db sequence")


def format_rows(found):
    """The rows of one release in the table of formats and questions: what of each server's is good for what."""
    result = []
    for server in SERVERS:
        columns = {"all": [], "addresses": [], "not": []}
        for one in found["formats"]:
            if not one["mta"].startswith(server.lower()):
                continue
            way, good = way_of(one["mta"]), one["addresses"]
            if one["missing"]:
                columns["not"].append(f"{way}: {one['missing']}")
            elif set(EVERYTHING[:2]) <= set(good):
                columns["all" if EVERYTHING[2] in good else "addresses"].append(way)
            else:
                columns["not"].append(f"{way} fails")
        result.append([found["release"], f"{server} {found['servers'][server]}"]
                      + [", ".join(column) for column in columns.values()])
    return result


def _lines(head, some_rows):
    return "".join(f"| {' | '.join(line)} |\n" for line in [head, ["---"] * len(head)] + some_rows)


def table(releases):
    """The Markdown of all releases, oldest first; one without a number is to come."""
    def age(found):
        number = re.search(r"[0-9.]+$", found["release"])
        return float(number.group()) if number else float("inf")

    releases = sorted(releases, key=age)
    return _lines(FORMATS_HEAD, [row for found in releases for row in format_rows(found)]) + "\n" + \
        _lines(HEAD, [row for found in releases for row in rows(found)])


def read_rows(readme):
    """The rows in the text of a README, of both tables."""
    _, begin, rest = readme.partition(BEGIN)
    inside, end, _ = rest.partition(END)
    if not begin or not end:
        raise ValueError("README.md: the marks of the compatibility table are not there")
    lines = [line.strip()[1:-1].split("|") for line in inside.splitlines() if line.startswith("|")]
    return [row for row in ([cell.strip() for cell in line] for line in lines) if row[0] not in ("system", "---")]


def in_kind(row):
    """A row with versions cut to what matters."""
    return [re.sub(r"(\d+\.\d+)[-.\d+~a-z]*", r"\1", cell) for cell in row]


def differences(readme, found):
    """What the README's rows of a release should be and are not, or the other way round; None if it has none."""
    wanted = [in_kind(row) for row in format_rows(found) + rows(found)]
    there = [in_kind(row) for row in read_rows(readme) if row[0] == found["release"]]
    if not there:
        return None
    return [f"+ {' | '.join(row)}" for row in wanted if row not in there] + \
        [f"- {' | '.join(row)}" for row in there if row not in wanted or there.count(row) > 1]


def written(readme, releases):
    """The README with a new table. No release gets lost because its run is missing."""
    lost = {row[0] for row in read_rows(readme)} - {found["release"] for found in releases}
    if lost or not releases:
        missing = ", ".join(sorted(lost)) or "any release"
        raise ValueError(f"no run of {missing}: `make check` and `make interop RELEASE=...` first")
    return readme.partition(BEGIN)[0] + BEGIN + table(releases) + END + readme.partition(END)[2]


def _check(codename):
    found = facts.read(codename)
    name = f"compatibility: the README's table is what the run of {codename} found"
    whole = found and "logins" in found and "formats" in found
    wrong = differences(_readme(), found) if whole else ["there are no results of a run"]
    if wrong is None:
        line = f"SKIP {name}: it does not speak of {found['release']}"
    elif wrong:
        line = f"not ok {name} (`make compatibility` writes it):\n    " + "\n    ".join(wrong)
    else:
        line = f"ok {name}"
    print(line)
    record.case(line)
    return 1 if wrong else 0


def _readme():
    with open("README.md", encoding="utf-8") as file:
        return file.read()


def main(words):
    """One of the three."""
    if words[:1] == ["--check"] and len(words) == 2:
        return _check(words[1])
    folder = os.listdir(facts.FOLDER) if os.path.isdir(facts.FOLDER) else []
    releases = [facts.read(name.removesuffix(".json")) for name in folder if name.endswith(".json")]
    if words == ["--write"]:
        text = written(_readme(), releases)
        with open("README.md", "w", encoding="utf-8") as file:
            file.write(text)
        return 0
    print(table(releases), end="")
    return 0 if not words else 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
