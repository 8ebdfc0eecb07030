"""The release of Debian that a site is made of: the host's own, or another that tests/servers has
unpacked. DRACD_RELEASE names it; then the libraries of dracd are that release's too."""

import os

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def _os_release(root):
    with open(f"{root}/usr/lib/os-release", encoding="utf-8") as file:
        words = dict(line.strip().partition("=")[::2] for line in file)
    return {name: value.strip('"') for name, value in words.items()}


class Release:
    """Where its files are, and what it calls itself."""

    def __init__(self, codename):
        host = _os_release("").get("VERSION_CODENAME", "")
        self.codename = codename or host
        self.trees = f"{TOP}/build/trees/{self.codename}"
        # Below this is the /usr with which dracd was built, and runs.
        self.system = "" if self.codename == host else f"{self.trees}/build"
        built = "build/out" if self.codename == host else f"build/out-{self.codename}"
        self.programs = os.path.join(TOP, os.environ.get("B", built))

    def title(self):
        """Such as "Debian 13"; one that is not released yet has no number."""
        words = _os_release(self.system)
        return f"{words['NAME'].split()[0]} {words.get('VERSION_ID', self.codename)}"


def chosen():
    """The release of this run."""
    return Release(os.environ.get("DRACD_RELEASE"))
