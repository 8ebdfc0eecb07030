"""What each MTA makes of a map file, and which leases a file of each kind can hold.

Written from shared facts on Postfix, Sendmail and Exim (what they look up), not from dracd's maps/.
Every file is read with a tool of the format's own library.
"""
import functools
import ipaddress
import socket
import subprocess

from tests.differential.oracle import covers


@functools.lru_cache(100000)
def text_of(host):
    """As getnameinfo(3) prints it, which is what Postfix looks up."""
    if host.version == 4:
        return str(host.network_address)
    return socket.inet_ntop(socket.AF_INET6, host.network_address.packed)


@functools.lru_cache(100000)
def groups_of(host):
    """As Sendmail prints it: nothing compressed, no leading zero."""
    return ":".join(f"{int(group, 16):x}" for group in host.network_address.exploded.split(":"))


def cuts(text):
    """The text, and what is left of it after cutting at its last separator, again and again."""
    separator = ":" if ":" in text else "."
    while text:
        yield text
        text = text[:text.rfind(separator)] if separator in text else ""


# ---- reading the files ----

def _tool(*words):
    return subprocess.run(words, capture_output=True, check=True, timeout=120).stdout


def _unescape(line):
    octets = bytearray()
    at = 0
    while at < len(line):
        if line[at:at + 1] == b"\\":
            if line[at + 1:at + 2] == b"\\":
                octets += b"\\"
                at += 2
            else:
                octets.append(int(line[at + 1:at + 3], 16))
                at += 3
        else:
            octets.append(line[at])
            at += 1
    return bytes(octets)


def _dump(output):
    body = output.split(b"HEADER=END\n", 1)[1].split(b"DATA=END", 1)[0].splitlines()
    octets = [_unescape(line[1:]) for line in body]
    return list(zip(octets[::2], octets[1::2]))


def read_bdb(path):
    return _dump(_tool("db5.3_dump", "-p", path))


def read_lmdb(path):
    return _dump(_tool("mdb_dump", "-p", "-n", path))


def read_cdb(path):
    rows = []
    data = _tool("cdb", "-d", path)
    at = 0
    while data[at:at + 1] == b"+":
        sizes, at = data[at + 1:data.index(b":", at)], data.index(b":", at) + 1
        key, value = map(int, sizes.split(b","))
        rows.append((data[at:at + key], data[at + key + 2:at + key + 2 + value]))
        at += key + 2 + value + 1
    if data[at:] != b"\n":
        raise AssertionError(f"{path}: cdb -d ended with {data[at:at + 40]!r}")
    return rows


def read_lines(path):
    """Those that Exim and Postfix do not pass over as comments."""
    with open(path, "rb") as file:
        data = file.read()
    if data and not data.endswith(b"\n"):
        raise AssertionError(f"{path}: its last line is not whole")
    return [line for line in data.splitlines() if not line.startswith(b"#")]


def as_dict(rows, nul):
    """Text keys and values; all of them end in a NUL, or none does."""
    table = {}
    for key, value in rows:
        if key.endswith(b"\0") != nul or value.endswith(b"\0") != nul:
            raise AssertionError(f"{key!r} {value!r}: NUL is to be {nul}")
        key = key.rstrip(b"\0").decode()
        if key in table:
            raise AssertionError(f"{key} is there twice")
        table[key] = value.rstrip(b"\0").decode()
    return table


# ---- who is let in ----

def _postfix(table):
    return lambda host: any(table.get(cut) == "OK" for cut in cuts(text_of(host)))


def _sendmail(table):
    def may_relay(host):
        if host.version == 4:
            return text_of(host) in table
        return "ipv6:" + groups_of(host) in table or groups_of(host) in table

    return may_relay


def _access(table):
    """The first row found decides."""
    def may_relay(host):
        mark = "ipv6:" if host.version == 6 else ""
        for cut in cuts(groups_of(host) if host.version == 6 else text_of(host)):
            for key in (f"connect:{mark}{cut}", f"{mark}{cut}"):
                if key in table:
                    return table[key] == "RELAY"
        return False

    return may_relay


@functools.lru_cache(100000)
def _exim_text(host):
    return str(host.network_address) if host.version == 4 else host.network_address.exploded.replace(":", ".")


def _exim(table):
    """net-TYPE and, for IPv6 clients, net64-TYPE."""
    def may_relay(host):
        if _exim_text(host) in table:
            return True
        return host.version == 6 and _exim_text(host.supernet(new_prefix=64)) + "/64" in table

    return may_relay


def _networks(texts):
    """Of a list of hosts and networks."""
    return covers({ipaddress.ip_network(text) for text in texts})


def _iplsearch(lines):
    """An IPv6 key is found only in quotes, and a quoted key must be IPv6."""
    texts = []
    for line in lines:
        line = line.decode()
        quoted = line.startswith('"')
        key = line[1:line.index('"', 1)] if quoted else line.split(":")[0].split()[0]
        if quoted != (":" in key):
            raise AssertionError(f"iplsearch line {line!r}")
        texts.append(key)
    return _networks(texts)


def _lsearch(lines):
    return _exim({line.decode().split(":")[0].split()[0]: "" for line in lines})


def _cidr(lines):
    rows = [line.decode().split() for line in lines]
    if any(len(row) != 2 or row[1] != "OK" for row in rows):
        raise AssertionError(f"cidr: {rows}")
    return _networks([row[0] for row in rows])


def _texthash(lines):
    return _postfix(dict(line.decode().split(None, 1) for line in lines))


# ---- which leases can be written ----

def _holds_postfix(lease):
    """mta-maps 1.1 and drac.conf(5): cut texts, and none that could mean another network."""
    if lease.version == 4:
        return lease.prefixlen > 0 and lease.prefixlen % 8 == 0
    if lease.prefixlen == 0 or lease.prefixlen % 16:
        return False
    groups = groups_of(lease).split(":")
    if lease.prefixlen == 128:
        text = text_of(lease)
        return not (text.count("::") and text.index("::") == text.index(":") > 0 and not text.endswith("::"))
    groups = groups[:lease.prefixlen // 16]
    zeros = "".join("0" if group == "0" else "x" for group in groups)
    inner = zeros.rstrip("0")
    if "00" in inner or len(zeros) - len(inner) >= 3:
        return False
    return len(groups) > 1 or int(groups[0], 16) > 0x255


def _holds_hosts(lease):
    return lease.prefixlen == lease.max_prefixlen


def _holds_access(lease):
    return lease.prefixlen > 0 and lease.prefixlen % (8 if lease.version == 4 else 16) == 0


def _holds_exim(lease):
    return _holds_hosts(lease) or (lease.version == 6 and lease.prefixlen == 64)


def _holds_all(_):
    return True


class Kind:
    """A map: how drac.conf names it, how its file is read, who is let in by it."""

    def __init__(self, config, suffix, admits, holds):
        self.config, self.suffix, self.admits, self.holds = config, suffix, admits, holds


def _table(read, nul, rule):
    return lambda path: rule(as_dict(read(path), nul))


KINDS = {
    "postfix_hash": Kind("type = hash keys = postfix", ".db", _table(read_bdb, True, _postfix), _holds_postfix),
    "postfix_btree": Kind("type = btree keys = postfix", ".db", _table(read_bdb, True, _postfix), _holds_postfix),
    "postfix_lmdb": Kind("type = lmdb", ".lmdb", _table(read_lmdb, True, _postfix), _holds_postfix),
    "postfix_cdb": Kind("type = cdb keys = postfix", ".cdb", _table(read_cdb, False, _postfix), _holds_postfix),
    "sendmail_hash": Kind("type = hash keys = sendmail", ".db", _table(read_bdb, False, _sendmail), _holds_hosts),
    "access_btree": Kind("type = btree keys = access", ".db", _table(read_bdb, False, _access), _holds_access),
    "exim_dbm": Kind("type = hash keys = exim", ".db", _table(read_bdb, True, _exim), _holds_exim),
    "exim_dbmnz": Kind("type = hash keys = exim nul = no", ".db", _table(read_bdb, False, _exim), _holds_exim),
    "exim_cdb": Kind("type = cdb keys = exim", ".cdb", _table(read_cdb, False, _exim), _holds_exim),
    "iplsearch": Kind("type = iplsearch", "", lambda path: _iplsearch(read_lines(path)), _holds_all),
    "lsearch": Kind("type = lsearch", "", lambda path: _lsearch(read_lines(path)), _holds_exim),
    "relayhosts": Kind("type = relayhosts", "", lambda path: _iplsearch(read_lines(path)), _holds_hosts),
    "cidr": Kind("type = cidr", "", lambda path: _cidr(read_lines(path)), _holds_all),
    "texthash": Kind("type = texthash", "", lambda path: _texthash(read_lines(path)), _holds_postfix),
}
# with ipv6_prefix = 64 these are refused, as they hold hosts alone
HOSTS_ONLY = {name for name, kind in KINDS.items() if kind.holds is _holds_hosts}
