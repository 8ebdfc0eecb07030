"""Several lookups at once, each with its own view of the leases: services, networks, both or all."""
import os
import signal
import unittest

from dracd_box import BASE, Dracd, Stream, fields

WITHOUT_LOOKUPS = "\n".join(line for line in BASE.splitlines() if not line.startswith("lookup"))

VIEWS = {  # protocol, services, networks
    "mx": ("policy", (), ()),
    "map": ("socketmap", (), ()),
    "line": ("plain", (), ()),
    "pop": ("policy", ("pop3",), ()),
    "imapmap": ("socketmap", ("imap",), ()),
    "both": ("plain", ("imap", "pop3"), ()),
    "lan": ("plain", (), ("198.51.100.0/24",)),
    "six": ("policy", (), ("2001:db8::/32", "192.0.2.0/24")),
    "narrow": ("socketmap", ("pop3",), ("203.0.113.0/24",)),
}

LEASES = {  # address: service of the login, and who sees the lease beside those that see all
    "203.0.113.1": ("imap", {"imapmap", "both"}),
    "203.0.113.2": ("pop3", {"pop", "both", "narrow"}),
    "203.0.113.3": (None, set()),
    "198.51.100.1": ("imap", {"imapmap", "both", "lan"}),
    "198.51.100.2": (None, {"lan"}),
    "2001:db8::1": ("pop3", {"pop", "both", "six"}),
    "2001:db8:1::1": ("imap", {"imapmap", "both", "six"}),
}
ALL = {"mx", "map", "line"}


def section(name, protocol, services, networks):
    """A lookup section of drac.conf."""
    def text(items):
        return "{" + ", ".join(f'"{item}"' for item in items) + "}"
    return (f'lookup {name} {{ protocol = {protocol} path = "@DIR@/{name}.socket"'
            + (f" services = {text(services)}" if services else "")
            + (f" networks = {text(networks)}" if networks else "") + " }\n")


def ask(stream, protocol, address):
    """One question; whether the answer permits."""
    if protocol == "policy":
        stream.send(f"request=smtpd_access_policy\nclient_address={address}\n\n")
        return {"action=OK": True, "action=DUNNO": False}[stream.until(b"\n\n")]
    if protocol == "socketmap":
        stream.send(f"{len(address) + 5}:drac {address},")
        return {"5:OK OK": True, "9:NOTFOUND ": False}[stream.until(b",")]
    stream.send(f"{address}\n")
    return {"yes": True, "no": False}[stream.line()]


class Views(unittest.TestCase):
    def setUp(self):
        self.dracd = Dracd()
        self.addCleanup(self.dracd.remove)
        self.configure(VIEWS)
        self.dracd.start()

    def configure(self, views, more=""):
        text = "".join(section(name, *view) for name, view in views.items()) + more
        self.dracd.write_config(text.replace("@DIR@", self.dracd.directory), base=WITHOUT_LOOKUPS + "\n")

    def login(self, address, service, user="bob", more=""):
        words = f"user={user} service={service or ''} {more}"
        self.assertRegex(self.dracd.login(address, words), "^OK ")

    def stream(self, name):
        stream = Stream(self.dracd.path(f"{name}.socket"))
        self.addCleanup(stream.close)
        return stream

    def sees(self, name, address, protocol=None):
        with Stream(self.dracd.path(f"{name}.socket")) as stream:
            return ask(stream, protocol or VIEWS[name][0], address)

    def seen_by(self, address):
        return {name for name in VIEWS if self.sees(name, address)}

    def status(self, name):
        lines = [fields(line) for line in self.dracd.control("status") if line.startswith("lookup ")]
        return next(line for line in lines if line["name"] == name)

    def is_gone(self, name):
        return not os.path.exists(self.dracd.path(f"{name}.socket"))

    def test_each_sees_its_own(self):
        for address, (service, _) in LEASES.items():
            self.login(address, service)
        for address, (_, seen_by) in LEASES.items():
            self.assertEqual(self.seen_by(address), ALL | seen_by, address)
        self.assertEqual(self.seen_by("203.0.113.9"), set(), "no lease is no lease to any of them")
        self.assertEqual(self.dracd.control("check address=203.0.113.2")[0].split(" unseen_by=")[1], "imapmap,lan,six")
        self.assertEqual(self.status("narrow") | {"path": ""}, {
            "name": "narrow", "protocol": "socketmap", "path": "", "connections": "0", "asked": str(len(LEASES) + 1),
            "permitted": "1", "services": "pop3", "networks": "1"})
        self.assertEqual(self.status("both")["services"], "imap,pop3")
        self.assertNotIn("networks", self.status("both"))

    def test_each_login_counts(self):
        self.login("203.0.113.1", "imap")
        self.assertEqual(self.seen_by("203.0.113.1"), ALL | {"imapmap", "both"})
        self.login("203.0.113.1", "pop3", "eve")
        self.login("203.0.113.1", None, "amy")
        self.login("203.0.113.1", None)
        self.assertEqual(self.seen_by("203.0.113.1"), ALL | {"imapmap", "pop", "both", "narrow"})
        self.dracd.control("revoke user=eve")
        self.assertEqual(self.seen_by("203.0.113.1"), ALL | {"imapmap", "both"})
        self.dracd.control("revoke user=bob")
        self.assertEqual(self.seen_by("203.0.113.1"), ALL, "amy's")

    def test_each_login_counts_until_its_end(self):
        self.login("203.0.113.1", "pop3", more="ttl_ms=60000")
        self.login("203.0.113.1", "imap", more="ttl_ms=2000")
        self.login("203.0.113.1", "imap", "", "ttl_ms=1000")
        self.assertEqual(self.seen_by("203.0.113.1"), ALL | {"imapmap", "pop", "both", "narrow"})
        check = "check address=203.0.113.1"
        self.assertIn("unseen_by=lan,six", self.dracd.control(check)[0])
        self.dracd.wait_for(lambda: not self.sees("imapmap", "203.0.113.1"), "the end of the IMAP login")
        self.assertEqual(self.seen_by("203.0.113.1"), ALL | {"pop", "both", "narrow"})
        self.assertIn("unseen_by=imapmap,lan,six", self.dracd.control(check)[0])
        self.assertEqual([len(self.dracd.control(f"list service={name}")) for name in ("imap", "pop3")], [1, 2])

    def test_lease_does_not_hide_the_one_around_it(self):
        self.dracd.control("add address=203.0.113.0/24 service=imap")
        self.login("203.0.113.1", "pop3")
        self.assertEqual(self.seen_by("203.0.113.1"), ALL | {"imapmap", "pop", "both", "narrow"})
        self.assertEqual(self.seen_by("203.0.113.2"), ALL | {"imapmap", "both"})

    def test_what_is_revoked_or_denied_is_in_no_view(self):
        for address, (service, _) in LEASES.items():
            self.login(address, service)
        self.dracd.control("revoke address=203.0.113.2")
        self.assertEqual(self.seen_by("203.0.113.2"), set())
        self.configure(VIEWS, 'deny = {"198.51.100.0/24"}\n')
        self.assertEqual(self.dracd.control("reload"), ["OK reloaded"])
        self.assertEqual(self.seen_by("198.51.100.1"), set())
        self.dracd.stop()
        self.configure(VIEWS, "mode = observe\n")
        self.dracd.start()
        self.assertEqual(self.seen_by("203.0.113.1"), set())

    def test_changed_view_leaves_the_others_alone(self):
        self.login("203.0.113.1", "imap")
        kept = {name: self.stream(name) for name in ("mx", "map", "imapmap", "six", "narrow")}
        changed = self.stream("pop")
        for name, stream in [*kept.items(), ("pop", changed)]:
            self.assertEqual(ask(stream, VIEWS[name][0], "203.0.113.1"), name in ("mx", "map", "imapmap"), name)
        self.configure(VIEWS | {"pop": ("policy", ("pop3", "imap"), ())})
        self.assertEqual(self.dracd.control("reload"), ["OK reloaded"])
        self.assertTrue(changed.at_end(), "it asks again, and the new one")
        self.assertTrue(self.sees("pop", "203.0.113.1"))
        for name, stream in kept.items():
            self.assertEqual(ask(stream, VIEWS[name][0], "203.0.113.1"), name in ("mx", "map", "imapmap"), name)
        self.configure({name: view for name, view in VIEWS.items() if name != "six"})
        self.assertEqual(self.dracd.control("reload"), ["OK reloaded"])
        self.assertTrue(kept.pop("six").at_end())
        self.assertTrue(self.is_gone("six"))
        self.assertFalse(self.sees("pop", "203.0.113.1"), "as it was")
        for name, stream in kept.items():
            self.assertEqual(ask(stream, VIEWS[name][0], "203.0.113.1"), name in ("mx", "map", "imapmap"), name)
        self.dracd.stop()
        self.assertEqual([name for name in VIEWS if not self.is_gone(name)], [])

    def test_another_protocol_for_a_view(self):
        self.login("203.0.113.2", "pop3")
        self.configure(VIEWS | {"narrow": ("plain", *VIEWS["narrow"][1:])})
        self.assertEqual(self.dracd.control("reload"), ["OK reloaded"])
        self.assertTrue(self.sees("narrow", "203.0.113.2", "plain"))

    def test_service_that_nobody_has_changes_nothing(self):
        self.login("203.0.113.2", "pop3")
        mx = self.stream("mx")
        self.assertTrue(ask(mx, "policy", "203.0.113.2"))
        self.configure(VIEWS | {"pop": ("policy", ("pop3", "smtp"), ())})
        problem, end = self.dracd.control("reload")
        self.assertIn("lookup%20pop:%20services:%20smtp%20is%20no%20service;%20to%20make%20it%20one:%20service%20smtp",
                      problem)
        self.assertTrue(end.startswith("ERR reason=config"))
        self.assertTrue(ask(mx, "policy", "203.0.113.2"))
        self.assertTrue(self.sees("pop", "203.0.113.2"))
        self.configure(VIEWS | {"pop": ("policy", ("smtp",), ())}, "service smtp { lease = yes }\n")
        self.assertEqual(self.dracd.control("reload"), ["OK reloaded"])
        self.assertFalse(self.sees("pop", "203.0.113.2"))
        self.login("203.0.113.2", "smtp")
        self.assertTrue(self.sees("pop", "203.0.113.2"))

    def test_killed_it_leaves_none(self):
        self.configure(VIEWS | {"more": ("plain", ("imap",), ())})
        self.assertEqual(self.dracd.control("reload"), ["OK reloaded"])
        self.dracd.process.send_signal(signal.SIGKILL)
        self.dracd.process.wait(30)
        self.dracd.wait_for(lambda: all(self.is_gone(name) for name in [*VIEWS, "more"]), "the guardian to remove them")


if __name__ == "__main__":
    unittest.main()
