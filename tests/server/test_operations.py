"""A service among others: systemd, privileges, key tools. Contract: spec/operations.md 5.3, 11."""

from __future__ import annotations

import base64
import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import trio
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ccserver.config import ConfigError, read_dotenv, read_keys
from ccserver.notify import notify
from ccserver.privileges import drop_privileges
from ccserver.rest.gateway import Redirection
from ccserver.rest.listener import Listener
from ccserver.rest.sockets import bind
from tests.certificates import self_signed
from tests.server.running import Server, ccserver, eventually

EXAMPLE = "+51iXX8BdLFocrppRxIw52xCOf8xFSH/eNilN5IHVGc="


def tool(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    code = f"from ccserver.keytools import {name}; {name}()"
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=30, check=False
    )


def test_a_key_pair_can_be_pasted_into_dotenv(tmp_path: Path) -> None:
    done = tool("gen_keypair")
    assert done.returncode == 0
    assert [line.partition("=")[0] for line in done.stdout.splitlines()] == [
        "JWT_PUBLIC_KEY", "JWT_PRIVATE_KEY"
    ]  # fmt: skip
    (tmp_path / ".env").write_text(done.stdout)
    keys = read_keys(read_dotenv(tmp_path / ".env", {}))
    assert keys.jwt_public is not None
    assert keys.jwt_seed is not None
    assert tool("gen_keypair").stdout != done.stdout


def test_a_pem_key_becomes_a_line(tmp_path: Path) -> None:
    pem = tmp_path / "key.pem"
    pem.write_text(
        "Bag Attributes\n-----BEGIN PUBLIC KEY-----\n"
        "MCowBQYDK2VwAyEA+51iXX8BdLFocrppRxIw52xCOf8xFSH/eNilN5IHVGc=\n-----END PUBLIC KEY-----\n"
    )
    done = tool("convert_pem_pubkey", str(pem))
    assert (done.returncode, done.stdout) == (0, f'CROSS_LOGIN_JWT_PUBLIC_KEY="{EXAMPLE}"\n')


def test_the_example_key_of_the_fixtures(fixtures: Path) -> None:
    done = tool("convert_pem_pubkey", str(fixtures / "keys" / "ed25519-example.pub"))
    assert (done.returncode, done.stderr) == (0, "")
    key = done.stdout.partition("=")[2].strip().strip('"')
    assert len(base64.b64decode(key)) == 32


def test_what_is_no_ed25519_pem(tmp_path: Path) -> None:
    other = ec.generate_private_key(ec.SECP256R1()).public_key()
    own = ed25519.Ed25519PrivateKey.generate().public_key()
    bad = {
        "text": b"nothing",
        "curve": other.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        "cut": own.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)[:60],
    }
    for name, content in bad.items():
        (tmp_path / name).write_bytes(content)
        done = tool("convert_pem_pubkey", str(tmp_path / name))
        assert (done.returncode, done.stdout) == (1, ""), name
        assert name in done.stderr
    assert tool("convert_pem_pubkey", str(tmp_path / "absent")).returncode == 1
    usage = tool("convert_pem_pubkey")
    assert (usage.returncode, "usage" in usage.stderr) == (1, True)


@pytest.fixture
def listening(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind(str(tmp_path / "notify"))
        channel.settimeout(20)
        yield channel


def test_systemd_hears_of_start_life_and_end(
    installation: Server, listening: socket.socket, tmp_path: Path
) -> None:
    environment = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "400000"}
    installation.start(**environment)
    received = [listening.recv(1000).decode() for _ in range(4)]
    assert "READY=1\nSTATUS=running" in received
    assert received.count("WATCHDOG=1") >= 2
    assert installation.stop() == 0
    messages = []
    listening.settimeout(0.2)
    while True:
        try:
            messages.append(listening.recv(1000).decode())
        except TimeoutError:
            break
    assert any(message.startswith("STOPPING=1\nSTATUS=") for message in messages)


def test_a_socket_without_name_and_one_nobody_listens_to(monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"\0ccserver-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind(name)
        monkeypatch.setenv("NOTIFY_SOCKET", "@" + name[1:])
        notify(READY=1)
        assert channel.recv(100) == b"READY=1"
    notify(READY=1)  # nobody is there any more
    monkeypatch.setenv("NOTIFY_SOCKET", "/does/not/exist")
    notify(READY=1)


@pytest.fixture
def reachable(template: Path) -> Iterator[Path]:
    """An installation that another account can enter."""
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    shutil.copytree(template, folder, dirs_exist_ok=True)
    yield folder
    shutil.rmtree(folder)


def test_privileges_are_dropped_for_good(reachable: Path, request: pytest.FixtureRequest) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give privileges away")
    nobody = pwd.getpwnam("nobody")
    server = Server(reachable)
    request.addfinalizer(server.end)
    server.configure(lambda config: config["main"].update({"user": "nobody", "group": "daemon"}))
    for path in (reachable, *reachable.rglob("*")):
        if path.name not in (".env", "config.json"):
            os.chown(path, nobody.pw_uid, nobody.pw_gid)
    (reachable / ".env").chmod(0o600)
    before = os.getgroups()
    os.setgroups([0, 4])  # root need not be in any group beside its own
    try:
        server.start()
    finally:
        os.setgroups(before)
    assert server.process is not None
    for task in Path(f"/proc/{server.process.pid}/task").iterdir():
        lines = (line.partition(":") for line in (task / "status").read_text().splitlines())
        status = {name: value.split() for name, _, value in lines}
        assert status["Uid"] == [str(nobody.pw_uid)] * 4
        assert status["Gid"] == ["1"] * 4
        assert not {"0", "4"} & set(status["Groups"])
    with server.client("adapter") as client:
        job = {
            "jobId": 1, "user": "ute", "project": "lab", "cluster": "small", "numNodes": 1,
            "startTime": 1_700_000_000, "resources": [{"hostname": "n01"}], "shared": "none",
        }  # fmt: skip
        assert client.post("/api/jobs/start_job/", json=job).status_code == 201
    assert server.stop() == 0, server.log
    assert "[ERROR]" not in server.log, server.log
    owners = {path.owner() for path in (reachable / "var").rglob("*")}
    assert owners == {"nobody"}


@pytest.mark.parametrize("name", ["job.db", "job.db-wal"])
def test_a_database_of_somebody_else_is_named(reachable: Path, name: str) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can become somebody else")
    reachable.chmod(0o755)
    database = reachable / "var" / name
    database.touch()
    for path in (reachable / "var").iterdir():
        path.chmod(0o777)
    database.chmod(0o644)
    program = (
        "import os, sys; from ccserver.database.versions import check_version; os.setuid(65534);"
        "check_version(sys.argv[1])"
    )
    command = [sys.executable, "-c", program, str(reachable / "var" / "job.db")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert f"database {database}: not readable and writable for nobody, it belongs to root" in done.stderr


@pytest.mark.parametrize(("user", "group"), [("nobody-of-that-name", ""), ("", "no-group-of-that-name")])
def test_unknown_accounts_are_refused(user: str, group: str) -> None:
    with pytest.raises(ConfigError, match="on this machine"):
        drop_privileges(user, group)


def test_an_unknown_account_ends_the_start(installation: Server) -> None:
    installation.configure(lambda config: config["main"].update({"user": "nobody-of-that-name"}))
    done = ccserver(installation.folder, "-server")
    assert done.returncode == 1
    assert "/main/user: there is no user" in done.stderr


async def test_plain_http_is_sent_to_https() -> None:
    sockets = bind("127.0.0.1", 0)
    port = sockets[0].getsockname()[1]
    stop = trio.Event()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(Listener(Redirection("https://jobs.example.org/")).serve, sockets, stop)
        for path in ("/", "/monitoring/jobs/?a=b"):
            answer = await trio.to_thread.run_sync(httpx.get, f"http://127.0.0.1:{port}{path}")
            assert (answer.status_code, answer.headers["location"]) == (301, "https://jobs.example.org/")
        stop.set()


def test_tls(installation: Server) -> None:
    certificate, key = self_signed(installation.folder)
    files = {"https-cert-file": str(certificate), "https-key-file": str(key)}
    installation.configure(lambda config: config["main"].update(files))
    installation.start(wait=False)
    url = f"https://127.0.0.1:{installation.port}"
    import ssl

    trusting = ssl.create_default_context(cafile=str(certificate))

    def ready() -> bool:
        try:
            return httpx.get(f"{url}/readyz", verify=trusting).status_code == 200
        except httpx.TransportError:
            return False

    eventually(ready, 60)
    login = httpx.post(f"{url}/login", data={"username": "ute", "password": "ute"}, verify=trusting)
    assert "; Secure" in login.headers["set-cookie"]
    assert "strict-transport-security" in login.headers
    trusting.maximum_version = ssl.TLSVersion.TLSv1_2
    assert httpx.get(f"{url}/healthz", verify=trusting).status_code == 200
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    old.set_ciphers("DEFAULT:@SECLEVEL=0")
    old.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(httpx.TransportError):
        httpx.get(f"{url}/healthz", verify=old)
    assert installation.stop() == 0


def test_tls_files_that_do_not_fit(installation: Server) -> None:
    files = {"https-cert-file": "absent.crt", "https-key-file": "absent.key"}
    installation.configure(lambda config: config["main"].update(files))
    done = ccserver(installation.folder, "-server")
    assert done.returncode == 1
    assert "/main/https-cert-file: absent.crt: No such file or directory" in done.stderr
    (installation.folder / "absent.crt").write_text("no certificate")
    done = ccserver(installation.folder, "-server")
    assert "/main/https-key-file: absent.key: No such file or directory" in done.stderr
    (installation.folder / "absent.key").write_text("no key")
    done = ccserver(installation.folder, "-server")
    assert "/main/https-cert-file: absent.crt with absent.key: " in done.stderr
