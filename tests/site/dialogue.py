"""What a mail client does: log in by IMAP or POP3, and try to send mail."""

import collections
import socket
import time

LIMIT = 60.0  # seconds for one reply; tests that bound a reply look at its `ms`

Reply = collections.namedtuple("Reply", "code enhanced text ms")
Login = collections.namedtuple("Login", "ok text ms")


class Lines:
    """A connection on which lines are spoken."""

    def __init__(self, network, client, port, limit=LIMIT):
        self._socket = network.connect(client, port, limit)
        self._reader = self._socket.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *ignored):
        self._reader.close()
        self._socket.close()

    def send(self, line):
        """Send one line."""
        self._socket.sendall(line.encode() + b"\r\n")

    def receive(self):
        """The next line, without its end; raises when the peer has closed or says nothing."""
        try:
            line = self._reader.readline()
        except socket.timeout as error:
            raise OSError("no reply from the server") from error
        if not line.endswith(b"\n"):
            raise OSError("connection closed by the server")
        return line.decode(errors="replace").rstrip("\r\n")


class Smtp(Lines):
    """An SMTP session, for questions that are asked within one."""

    def __init__(self, network, client, port, limit=LIMIT):
        super().__init__(network, client, port, limit)
        self._greeting = self._reply()
        if self._greeting.code == 220:
            self._greeting = self._command("EHLO client.example")

    def _reply(self, started=None):
        line = self.receive()
        while line[3:4] == "-":
            line = self.receive()
        ms = (time.monotonic() - started) * 1000 if started else 0.0
        code, text = int(line[:3]), line[4:]
        first, _, rest = text.partition(" ")
        if first.count(".") == 2 and first.replace(".", "").isdigit():
            return Reply(code, first, rest, ms)
        return Reply(code, "", text, ms)

    def _command(self, line):
        started = time.monotonic()
        self.send(line)
        return self._reply(started)

    def rcpt(self, recipient):
        """The reply to one RCPT of a transaction of its own, or whatever refused before it.

        Nothing is ever sent."""
        if self._greeting.code != 250:
            return self._greeting
        mail = self._command("MAIL FROM:<someone@client.example>")
        if mail.code != 250:
            return mail
        reply = self._command(f"RCPT TO:<{recipient}>")
        self._command("RSET")
        return reply

    def quit(self):
        """End the session politely."""
        self._command("QUIT")


def smtp_rcpt(network, client, port, recipient, limit=LIMIT):
    """The reply to RCPT in a new session."""
    with Smtp(network, client, port, limit) as session:
        reply = session.rcpt(recipient)
        session.quit()
        return reply


def imap_login(network, client, port, user, password="secret", limit=LIMIT):
    """Log in and out; the text is the tagged reply to LOGIN."""
    with Lines(network, client, port, limit) as session:
        session.receive()
        return _imap_command(session, f"LOGIN {user} {password}")


class Imap(Lines):
    """An IMAP session that stays logged in."""

    def __init__(self, network, client, port, user, password="secret", limit=LIMIT):
        super().__init__(network, client, port, limit)
        self.receive()
        self.command(f"LOGIN {user} {password}")

    def command(self, command):
        """A command that has to succeed."""
        self.send(f"a {command}")
        line = self.receive()
        while not line.startswith("a "):
            line = self.receive()
        if not line.startswith("a OK"):
            raise OSError(f"{command.split()[0]}: {line}")


def imap_anonymous(network, client, port, limit=LIMIT):
    """Log in as nobody in particular."""
    with Lines(network, client, port, limit) as session:
        session.receive()
        return _imap_command(session, "AUTHENTICATE ANONYMOUS dGVzdA==")


def _imap_command(session, command):
    started = time.monotonic()
    session.send(f"a {command}")
    line = session.receive()
    while not line.startswith("a "):
        line = session.receive()
    ms = (time.monotonic() - started) * 1000
    session.send("b LOGOUT")
    return Login(line.startswith("a OK"), line, ms)


def pop3_login(network, client, port, user, password="secret", limit=LIMIT):
    """Log in and out; the text is the reply to PASS."""
    with Lines(network, client, port, limit) as session:
        session.receive()
        session.send(f"USER {user}")
        session.receive()
        started = time.monotonic()
        session.send(f"PASS {password}")
        line = session.receive()
        ms = (time.monotonic() - started) * 1000
        session.send("QUIT")
        return Login(line.startswith("+OK"), line, ms)
