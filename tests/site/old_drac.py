"""A site as DRAC has left it: how its Sendmail and its Postfix ask, which is not changed, and what is put in the place
of the file that they ask.

The rules hand the client's address to the map as Sendmail has it, with "IPv6:" before one of IPv6, as rules written for
DRAC do; FEATURE(drac) is younger.
"""

import os
import shutil

from tests.site import process, roots

FILE = "/etc/mail/dracd"
RULES = f"""\
LOCAL_CONFIG
Kdrac btree {FILE}
LOCAL_RULESETS
SLocal_check_rcpt
R$*\t\t\t$: $1 $| $(drac $&{{client_addr}} $: NONE $)
R$* $| NONE\t\t$@ $1
R$* $| $+\t\t$# OK
"""
ASK = f"    check_client_access btree:{FILE}"
SENDMAIL_PORT, POSTFIX_PORT = 2516, 2508

# What the README tells.
MAP = 'map drac { type = btree  keys = drac  path = "/var/lib/dracd/maps/dracd"  value = deadline  page_size = 512 }\n'
FORGET = """\
rpcinfo -d 900101 1
rpcinfo -d 900101 2
"""
LINK = """\
cp -p /etc/mail/dracd.db /etc/mail/dracd.db.old
ln -s /var/lib/dracd/maps/dracd.db /etc/mail/dracd.db.new
mv -T /etc/mail/dracd.db.new /etc/mail/dracd.db
"""


def put_database(site_roots, rows):
    """What DRAC has left, for both servers; makemap spells the rows as DRAC does."""
    text = "".join(f"{address}\t{deadline}\n" for address, deadline in rows.items())
    process.must_run(site_roots.sendmail, ["/usr/sbin/makemap", "-C", "/dev/null", "btree", FILE], text)
    roots.make_directory(f"{site_roots.mail}/etc/mail")
    shutil.copy(f"{site_roots.sendmail}{FILE}.db", f"{site_roots.mail}{FILE}.db")
    for root in (site_roots.sendmail, site_roots.mail):
        os.chmod(f"{root}{FILE}.db", 0o644)


UNDO = """\
mv -T /etc/mail/dracd.db.old /etc/mail/dracd.db
"""


def run(site_roots, commands):
    """What the commands of the README do; the roots have no cp, ln and mv."""
    for root in (site_roots.sendmail, site_roots.mail):
        roots.make_directory(f"{root}/etc/mail")
        for command in commands.splitlines():
            name, *words = command.split()
            if (name, words[0]) == ("ln", "-s"):
                os.symlink(words[1], root + words[2])
            elif (name, words[0]) == ("cp", "-p"):
                shutil.copy2(root + words[1], root + words[2])
            elif (name, words[0]) == ("mv", "-T"):
                os.rename(root + words[1], root + words[2])
            else:
                raise ValueError(command)


def put_link(site_roots):
    """Where DRAC has left a file."""
    run(site_roots, LINK)


def put_back(site_roots):
    """Its file, as it was."""
    run(site_roots, UNDO)
