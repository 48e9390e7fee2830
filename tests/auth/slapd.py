"""A real OpenLDAP server on a free port of the loopback interface, in a folder of its own."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.certificates import self_signed
from tests.conftest import require_program
from tests.server.running import free_port

SUFFIX = "dc=example,dc=org"
ADMIN, ADMIN_PASSWORD = f"cn=reader,{SUFFIX}", "let me read"
_SCHEMAS = Path("/etc/ldap/schema")
_MODULES = Path("/usr/lib/ldap")

_BASE = f"""dn: {SUFFIX}
objectClass: dcObject
objectClass: organization
o: Example
dc: example

dn: ou=people,{SUFFIX}
objectClass: organizationalUnit
ou: people
"""


def person(uid: str, name: str, password: str, number: int = 1000) -> str:
    """LDIF of one account."""
    return f"""
dn: uid={uid},ou=people,{SUFFIX}
objectClass: account
objectClass: posixAccount
objectClass: simpleSecurityObject
uid: {uid}
cn: {uid}
gecos: {name}
uidNumber: {number}
gidNumber: 1000
homeDirectory: /home/{uid}
userPassword: {password}
"""


@contextmanager
def directory(folder: Path, people: str) -> Iterator[tuple[int, int]]:
    """Serve base entries and `people` (LDIF); gives the ports for ldap and ldaps."""
    program = require_program("slapd", "/usr/sbin/slapd")
    data = folder / "data"
    data.mkdir(parents=True)
    certificate, key = self_signed(folder)
    configuration = folder / "slapd.conf"
    includes = "\n".join(f"include {_SCHEMAS / name}.schema" for name in ("core", "cosine", "nis"))
    configuration.write_text(
        f"""{includes}
modulepath {_MODULES}
moduleload back_mdb
pidfile {folder / "slapd.pid"}
TLSCertificateFile {certificate}
TLSCertificateKeyFile {key}
sizelimit size.soft=100 size.hard=100 size.pr=500 size.prtotal=unlimited
database mdb
maxsize 10485760
suffix "{SUFFIX}"
rootdn "cn=root,{SUFFIX}"
rootpw root
directory {data}
access to attrs=userPassword by anonymous auth by * none
access to * by dn.exact="{ADMIN}" read by * none
"""
    )
    reader = f"""
dn: {ADMIN}
objectClass: organizationalRole
objectClass: simpleSecurityObject
cn: reader
userPassword: {ADMIN_PASSWORD}
"""
    loading = [program, "-T", "add", "-f", str(configuration), "-q"]
    subprocess.run(loading, input=_BASE + reader + people, text=True, check=True, timeout=30)
    plain, secure = free_port(), free_port()
    urls = f"ldap://127.0.0.1:{plain}/ ldaps://127.0.0.1:{secure}/"
    with (folder / "slapd.log").open("w") as log:
        process = subprocess.Popen(
            [program, "-h", urls, "-f", str(configuration), "-d", "0"], stdout=log, stderr=log, env=os.environ
        )
    try:
        _await(plain, process)
        yield plain, secure
    finally:
        process.terminate()
        process.wait(10)


def _await(port: int, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 20
    while time.monotonic() < end:
        assert process.poll() is None, "slapd ended"
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise AssertionError("slapd does not listen")
