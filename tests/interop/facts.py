"""What the runs have found out about servers: the source of the README's compatibility tables.

One file for each release of Debian, build/facts/CODENAME.json, to which two tests add what they find:
"logins" the one that tries every login with the usual MTAs (test_login_to_relay.py), "formats" the one that
tries every format and question (test_formats.py). tests/compatibility.py makes the tables of it.
"""

import json
import os

from tests.site import release
from tests.site import site as sites

FOLDER = f"{release.TOP}/build/facts"


def path(codename):
    """The file of one release."""
    return f"{FOLDER}/{codename}.json"


def _save(codename, facts):
    os.makedirs(FOLDER, exist_ok=True)
    with open(path(codename), "w", encoding="utf-8") as file:
        json.dump(facts, file, indent=1)


def forget(kind, codename):
    """Before a run: should it break off, nothing older passes for what it found."""
    facts = read(codename)
    if facts and facts.pop(kind, None):
        _save(codename, facts)


def write(kind, site, found):
    """Logins are dictionaries of protocol, helper, mta, family, passed; formats of mta, addresses, missing."""
    facts = {**(read(site.release.codename) or {}), "release": site.release.title(),
             "servers": sites.versions(site), kind: found}
    _save(site.release.codename, facts)


def read(codename):
    """What was written; None if there was no run."""
    if not os.path.exists(path(codename)):
        return None
    with open(path(codename), encoding="utf-8") as file:
        return json.load(file)
