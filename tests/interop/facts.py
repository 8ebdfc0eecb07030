"""What a run has found out about servers: the source of the README's compatibility table.

One file for each release of Debian, build/facts/CODENAME.json, written by the run that tries every
login with every MTA (test_login_to_relay.py). tests/compatibility.py makes the table of them.
"""

import json
import os

from tests.site import release
from tests.site import site as sites

FOLDER = f"{release.TOP}/build/facts"


def path(codename):
    """The file of one release."""
    return f"{FOLDER}/{codename}.json"


def forget(codename):
    """Before a run: should it break off, nothing older passes for what it found."""
    if os.path.exists(path(codename)):
        os.unlink(path(codename))


def write(site, logins):
    """`logins` is a list of dictionaries: protocol, helper, mta, family, passed."""
    facts = {"release": site.release.title(), "servers": sites.versions(site), "logins": logins}
    os.makedirs(FOLDER, exist_ok=True)
    with open(path(site.release.codename), "w", encoding="utf-8") as file:
        json.dump(facts, file, indent=1)


def read(codename):
    """What was written; None if there was no run."""
    if not os.path.exists(path(codename)):
        return None
    with open(path(codename), encoding="utf-8") as file:
        return json.load(file)
