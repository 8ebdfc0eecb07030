"""A mail site inside a namespace: Dovecot, Postfix, Sendmail, Exim, dracd, and clients elsewhere.

Everything runs under tests/run-namespaced, so that no test can touch the host, and everything is
written to one tmpfs, so that nothing is left of it. A scenario needs `Site` (site.py) only.
"""

from tests.site.site import Site

__all__ = ["Site"]
