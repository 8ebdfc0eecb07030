"""drac-postlogin started as Dovecot's master does it, and asked as its mail processes do."""
import array
import os
import socket

from tests.scenario.postlogin import PATIENCE, TOKEN, Case, Process, read_all, wait_readable

VERSION = b"VERSION\tscript-login\t1\t0\n"
FIELDS = (b"\tquota_rule=*:storage=1G\tuid=6001\tgid=6001\thome=/home/b\001tob"
          b"\tauth_mech=PLAIN\tauth_token=" + TOKEN.encode() + b"\n")


class Service(Case):
    """A case with the helper as a service of Dovecot's, and with what Dovecot does."""

    GENERATION, LIMIT = 4711, 200

    def start(self, *options, listener_fd=7, limit=LIMIT, accepted=None, wait=True,
              stderr=None, descriptors=None, environment=None):
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(os.path.join(self.directory, "postlogin"))
        self.listener.listen(256)
        self.listener.setblocking(False)
        self.addCleanup(self.listener.close)
        self.status, status_in = self.pipe()
        self.out, out_in = self.pipe()
        self.err, err_in = self.pipe()
        self.err_text = b""
        null = os.open("/dev/null", os.O_RDWR)
        layout = {0: null, 1: out_in.fileno(), 2: err_in.fileno(), 5: status_in.fileno(),
                  listener_fd: self.listener.fileno()}
        variables = {"DOVECOT_CHILD_PROCESS": "1", "GENERATION": str(self.GENERATION),
                     "CLIENT_LIMIT": str(limit), "SERVICE_NAME": "drac-postlogin"}
        if stderr is not None:
            layout[2] = stderr
        if accepted is not None:
            layout[8] = accepted.fileno()
            variables["DOVECOT_ACCEPTED_CLIENT_LISTENER_FD"] = str(listener_fd)
        layout.update(descriptors or {})
        variables.update(environment or {})
        self.process = Process(["--serve", "--socket", self.path, *options],
                               {k: v for k, v in variables.items() if v is not None},
                               {k: v for k, v in layout.items() if v is not None})
        self.addCleanup(self.process.kill)
        os.close(null)
        for end in (status_in, out_in, err_in):
            end.close()
        if wait:
            self.record = os.read(self.status.fileno(), 64)

    def connect(self):
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(PATIENCE)
        connection.connect(os.path.join(self.directory, "postlogin"))
        self.addCleanup(connection.close)
        return connection

    def send(self, user=b"bob", remote=b"203.0.113.9", fields=FIELDS, passed=(),
             connection=None):
        """Sends a request as Dovecot does; the answer that is to come is .expected."""
        connection = connection or self.connect()
        request = VERSION + b"192.0.2.1\t" + remote + b"\t" + user + fields
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", passed))]
        sent = connection.sendmsg([request], rights if passed else [])
        if sent < len(request):
            connection.sendall(request[sent:])
        return connection

    def answer(self, connection):
        """All that comes back on a connection."""
        data = b""
        while True:
            part = connection.recv(65536)
            if not part:
                return data
            data += part

    def is_quiet(self, connection):
        return not wait_readable(connection, 0)

    def stop(self):
        """Ends it as Dovecot's master does; returns what it wrote on standard error."""
        self.status.close()
        self.assertEqual(self.process.wait(), 0)
        self.assertEqual(read_all(self.out.fileno()), b"")
        text = (self.err_text + read_all(self.err.fileno())).decode()
        return "".join(line for line in text.splitlines(True) if "running as root" not in line)

    def await_error(self, message):
        """Waits until standard error has message."""
        while message not in self.err_text:
            self.assertTrue(wait_readable(self.err.fileno()), self.err_text)
            part = os.read(self.err.fileno(), 65536)
            self.assertTrue(part, self.err_text)
            self.err_text += part

    def open_files(self):
        return len(os.listdir("/proc/%d/fd" % self.process.pid))
