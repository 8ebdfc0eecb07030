"""What dracd offers where drac.conf has no lookup section: a socket for Postfix and one for Sendmail."""

import sys

from tests.interop import ask
from tests.interop.cases import Cases
from tests.site import Site
from tests.site import site as sites

CONFIGURATION = ask.SPECIAL
MTAS = ("postfix-policy", "sendmail-drac-socket")


def offered(site, client, mta):
    """Refused, and with a lease permitted."""
    ask.refused(site, client, mta)
    ask.control(site, "add", client, "--time", "5min")
    ask.expect(site, client, mta, ask.PERMITTED)


def main():
    """Postfix and one Sendmail."""
    cases, addresses = Cases(), ask.Addresses()
    site = Site(CONFIGURATION)
    site.dracd.configure(CONFIGURATION)  # and nothing else
    site.dracd.start()
    site.start(site.postfix, *(sendmail for sendmail in site.sendmails if sendmail.name in MTAS))
    for mta in MTAS:
        for family in ask.FAMILIES:
            cases.one(f"offered without a lookup section, {mta}, {family}",
                      offered, site, addresses.new(family), mta)
    return cases.finish(site)


if __name__ == "__main__":
    sites.end_on_signals()
    sys.exit(main())
