"""POST /api/write answered before the web server, and as by it. Contract: spec/metric-store.md 6.2."""

from __future__ import annotations

import gzip
import socket
import time
from collections.abc import Awaitable, Callable, Iterator

import pytest
import trio
from trio.testing import MockClock

from ccserver.auth.guards import Credentials
from ccserver.rest import listener
from ccserver.rest.fastwrite import FastWrites, Rest, SampleWrites
from ccserver.rest.ingest import CHUNK, LARGEST_BODY, Ingest
from ccstore import Metric, MetricStore, Query, StoreOptions
from tests.server.running import Server, eventually
from tests.server.wire import HANDED_OVER, WRITE, Wire, request


@pytest.fixture
def start() -> int:
    return int(time.time()) // 10 * 10 - 600


def line(host: str, ts: int, value: float = 1) -> bytes:
    return b"cpu_load,hostname=%b value=%g %d\n" % (host.encode(), value, ts)


def value(server: Server, host: str, ts: int, cluster: str = "small") -> float | None:
    queries = [{"metric": "cpu_load", "host": host}]
    with server.client() as client:
        asked = {"cluster": cluster, "from": ts, "to": ts + 10, "queries": queries}
        row = client.post("/api/query", json=asked).json()["results"][0]
    return row[0]["data"][0] if row else None


def test_several_writes_and_a_page_on_one_connection(
    server: Server, wire: Wire, token: str, start: int
) -> None:
    for i in range(5):
        wire.send(request(token, line("k", start + 10 * i, i)))
        answer = wire.answer()
        assert (answer.status, answer.body) == (200, b"")
        assert answer.headers["content-type"] == "application/json"
    wire.send(f"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Auth-Token: {token}\r\n\r\n".encode())
    assert wire.answer().status == 200
    wire.send(request(token, line("k", start + 50, 5)))
    assert wire.answer().status == 200
    assert [value(server, "k", start + 10 * i) for i in range(6)] == [0, 1, 2, 3, 4, 5]


def test_pipelined_requests_are_answered_in_order(server: Server, wire: Wire, token: str, start: int) -> None:
    bad = b"cpu_load,hostname=p value=oops 1\n"
    page = f"GET /api/write HTTP/1.1\r\nHost: x\r\nX-Auth-Token: {token}\r\n\r\n".encode()
    stream = (
        request(token, line("p", start, 7))
        + request(token, bad)
        + request(token, b"")
        + page
        + request(token, line("p", start + 10, 8))
    )
    wire.send(stream)
    assert [wire.answer().status for _ in range(5)] == [200, 400, 200, 405, 200]
    assert [value(server, "p", start), value(server, "p", start + 10)] == [7, 8]


def test_a_request_may_come_byte_by_byte(server: Server, wire: Wire, token: str, start: int) -> None:
    for byte in request(token, line("b", start, 3)):
        wire.send(bytes([byte]))
    assert wire.answer().status == 200
    assert value(server, "b", start) == 3


@pytest.mark.parametrize(
    ("first", "more", "length"),
    [
        (WRITE, "", None),
        ("POST /api/write/?cluster=small HTTP/1.1", "", None),
        ("POST /metricstore/api/write?cluster=small HTTP/1.1", "", None),
        ("POST /metricstore/api/write/?cluster=small HTTP/1.1", "", None),
        ("POST /api/write?cluster=%73m%61ll HTTP/1.1", "", None),
        ("POST /api/write?a=b&cluster=small&cluster=other HTTP/1.1", "", None),
        ("POST /%61pi/write?cluster=small HTTP/1.1", "", None),
        (WRITE, "CONTENT-TYPE:text/plain\r\nuSER-aGENT:  x \r\n", None),
        (WRITE, "", "cONTENT-lENGTH: %d\r\n"),
        (WRITE, "", "content-length:%d\r\n"),
        (WRITE, "", "Content-Length: 000%d\r\n"),
        (WRITE, "", "Content-Length: %d \t\r\n"),
        (WRITE, "Connection: Keep-Alive\r\n", None),
        (WRITE, "Content-Type: application/x-www-form-urlencoded\r\nOrigin: http://a\r\n", None),
        (WRITE, "", "Content-Length: %d\r\nContent-Length: %d\r\n"),
    ],
)
def test_every_form_of_a_good_request(
    server: Server, wire: Wire, token: str, start: int, first: str, more: str, length: str | None
) -> None:
    """The next request on the connection is right as well; hypercorn says the same."""
    told = []
    for count, extra in enumerate(("", HANDED_OVER)):
        body = line("f", start, 10 + count)
        given = None if length is None else length.replace("%d", str(len(body)))
        wire.send(request(token, body, more + extra, first, given))
        told.append(wire.answer().told)
        assert value(server, "f", start) == 10 + count
    assert told[0] == told[1]
    assert told[0][0] == 200


@pytest.mark.parametrize("extra", ["", HANDED_OVER])
def test_bodies_of_another_form(server: Server, wire: Wire, token: str, start: int, extra: str) -> None:
    body = line("c", start, 4) + line("c", start + 10, 5)
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:20], body[20:])) + b"0\r\n\r\n"
    wire.send(request(token, chunks, extra, length="Transfer-Encoding: chunked\r\n"))
    assert wire.answer().status == 200
    packed = gzip.compress(line("c", start + 20, 6))
    wire.send(request(token, packed, extra + "Content-Encoding: gzip\r\n"))
    assert wire.answer().status == 200
    last = line("c", start + 30, 7)
    wire.send(request(token, last, extra + "Expect: 100-continue\r\n")[: -len(last)])
    assert wire.answer().status == 100
    wire.send(last)
    assert wire.answer().status == 200
    assert [value(server, "c", start + 10 * i) for i in range(4)] == [4, 5, 6, 7]


@pytest.mark.parametrize(
    ("first", "more"),
    [("POST /api/write?cluster=small HTTP/1.0", ""), (WRITE, "Connection: close\r\n")],
)
def test_connections_that_are_to_end(
    server: Server, wire: Wire, token: str, start: int, first: str, more: str
) -> None:
    wire.send(request(token, line("e", start, 9), more, first))
    answer = wire.answer()
    assert (answer.status, answer.headers["connection"]) == (200, "close")
    assert wire.ended()
    assert value(server, "e", start) == 9


@pytest.mark.parametrize(
    "length",
    [
        "Content-Length: -1\r\n",
        "Content-Length: +5\r\n",
        "Content-Length: 5x\r\n",
        "Content-Length: 5, 6\r\n",
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Content-Length: 6\r\ncontent-length: 5\r\n",
        "Content-Length : 5\r\n",
        "Content-Length:\r\n",
        "Content-Length: 5\r\nTransfer-Encoding: identity\r\n",
        "Content-Length: 5\r\nTransfer-Encoding: chunked, gzip\r\n",
        "Content-Length: 5\n\x0b: 1\r\n",
        "Content-Length: 5\r\nBad\x00: 1\r\n",
        "Content-Length: 5\r\nHost: y\r\n",
    ],
)
def test_lengths_that_cannot_be_trusted_are_refused(wire: Wire, token: str, length: str) -> None:
    """What follows on such a connection is never taken for a request."""
    wire.send(request(token, b"\n\n\n\n\n" + request(token, b""), length=length))
    answer = wire.answer()
    assert answer.status in (400, 411, 501), answer
    assert wire.ended()


@pytest.mark.parametrize(
    ("length", "chunked"),
    [
        ("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", True),
        ("transfer-encoding: Chunked\r\nContent-Length: 3\r\n", True),
        ("Content-Length: %d\r\nTransfer-Encoding: chunked\r\n", True),
        ("Content-Length: %d\r\n", False),
    ],
)
def test_a_request_inside_of_a_body_is_none(wire: Wire, token: str, length: str, chunked: bool) -> None:
    """One request, one answer: chunks win over a length (RFC 9112 6.3), or the request is refused."""
    page = f"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Auth-Token: {token}\r\n\r\n".encode()
    body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(page), page) if chunked else b"0\r\n\r\n" + page
    wire.send(request(token, body, length=length.replace("%d", str(len(body)))))
    answer = wire.answer()
    assert answer.status in (200, 400)
    if answer.headers.get("connection") == "close":
        assert wire.ended()
    else:
        wire.send(page.replace(b"/healthz", b"/api/write"))
        assert wire.answer().status == 405


def test_without_a_length_there_is_no_body(wire: Wire, token: str) -> None:
    wire.send(request(token, b"", length=""))
    assert wire.answer().status == 200
    wire.send(request(token, b""))
    assert wire.answer().status == 200


def test_absolute_form_is_handled_as_by_hypercorn(server: Server, token: str, start: int) -> None:
    told = []
    for extra in ("", HANDED_OVER):
        with Wire(server) as wire:
            first = "POST http://x/api/write?cluster=small HTTP/1.1"
            wire.send(request(token, line("a", start), extra, first))
            told.append(wire.answer().told)
    assert told[0] == told[1]


def test_lines_without_carriage_return_are_not_waited_for(server: Server, token: str, start: int) -> None:
    began = time.monotonic()
    with Wire(server) as wire:
        body = line("lf", start, 2)
        wire.send(request(token, b"", length=f"Content-Length: {len(body)}\r\n").replace(b"\r", b"") + body)
        assert wire.answer().status in (200, 400)
    assert time.monotonic() - began < listener.HEADER_PATIENCE / 2


@pytest.mark.parametrize("bad", ["nonsense", ""])
def test_after_a_bad_token_the_connection_is_of_use(
    server: Server, wire: Wire, token: str, start: int, bad: str
) -> None:
    for i in range(3):
        wire.send(request(bad, line("t", start, 1)))
        refused = wire.answer()
        assert refused.status == 401
        assert refused.headers.get("connection") != "close"
        wire.send(request(token, line("u", start, i)))
        assert wire.answer().status == 200
        assert value(server, "u", start) == i
    assert value(server, "t", start) is None


def test_a_large_body_that_nobody_may_send_ends_its_connection(wire: Wire) -> None:
    head = request("nonsense", b"", length=f"Content-Length: {100 * CHUNK}\r\n")
    wire.send(head + bytes(2 * CHUNK))
    answer = wire.answer()
    assert (answer.status, answer.headers["connection"]) == (401, "close")


def test_errors_read_as_from_hypercorn(wire: Wire, token: str, start: int) -> None:
    body = line("x", start) + b"cpu_load,hostname=x value=oops 1\n" + b"\xff\n"
    told = []
    for extra in ("", HANDED_OVER):
        wire.send(request(token, body, extra))
        told.append(wire.answer().told)
    assert told[0] == told[1]
    assert told[0][0] == 400


@pytest.mark.parametrize("size", [CHUNK, CHUNK + 1])
def test_bodies_about_the_size_of_a_part(
    server: Server, wire: Wire, token: str, start: int, size: int
) -> None:
    body = line("s", start, 6)
    body = b"\n" * (size - len(body)) + body
    wire.send(request(token, body))
    assert wire.answer().status == 200
    assert value(server, "s", start) == 6


def test_a_body_over_the_limit(wire: Wire, token: str) -> None:
    one = b"x" * 8191 + b"\n"
    packed = gzip.compress(one * (LARGEST_BODY // len(one) + 1), 1)
    wire.send(request(token, packed, "Content-Encoding: gzip\r\n"))
    answer = wire.answer()
    assert (answer.status, answer.headers["connection"]) == (413, "close")


def test_what_was_complete_when_a_client_broke_off_is_stored(server: Server, token: str, start: int) -> None:
    for number, extra in enumerate(("", HANDED_OVER)):
        with Wire(server) as wire:
            cut = line(f"o{number}", start, 1) + line(f"o{number}", start + 10, 2)[:-3]
            wire.send(request(token, cut, extra, length="Content-Length: 9999\r\n"))
        eventually(lambda number=number: value(server, f"o{number}", start) == 1)  # type: ignore[misc]
        assert value(server, f"o{number}", start + 10) is None


# -- in one process, where time can be turned --------------------------------------------------------------


class Open:
    """Everybody may come in."""

    async def admit(self, credentials: Credentials) -> None:
        pass

    def refusal(self, message: str) -> tuple[bytes, bytes]:
        raise NotImplementedError


Talk = Callable[[trio.SocketStream], Awaitable[None]]


def conversation(store: MetricStore, talk: Talk, clock: MockClock | None = None) -> Rest:
    """What FastWrites leaves over after a client has talked to it over a real socket."""
    rest = Rest(None)

    async def run() -> None:
        nonlocal rest
        fast = {"/api/write": SampleWrites(Ingest(store, Open()))}
        writes = FastWrites(fast, listener.HEADER_PATIENCE, listener.KEEP_ALIVE)
        client, served = (trio.SocketStream(trio.socket.from_stdlib_socket(one)) for one in socket_pair())

        async def serve() -> None:
            nonlocal rest
            rest = await writes.serve(served, "127.0.0.1")
            await served.aclose()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(serve)
            await talk(client)
            await client.aclose()

    trio.run(run, clock=clock)
    return rest


def socket_pair() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        client = socket.create_connection(listening.getsockname())
        served, _ = listening.accept()
    for one in (client, served):
        one.setblocking(False)
    return client, served


@pytest.fixture
def store(start: int) -> Iterator[MetricStore]:
    store = MetricStore({"small": [Metric("cpu_load", 10)]}, StoreOptions(), clock=lambda: start + 600.0)
    store.write(b"cpu_load,hostname=first value=1 %d" % start, "small")
    yield store
    store.close()


@pytest.mark.parametrize(
    "other",
    [
        request("t", b"", HANDED_OVER),
        request("t", b"", length="Content-Length: 0\r\nContent-Length: 0\r\n"),
        request("t", b"", length="Content-Length: 0\r\nTransfer-Encoding: chunked\r\n"),
        request("t", b"", length="Content-Length: 0\r\n folded\r\n"),
        request("t", b"", "Expect: 100-continue\r\n"),
        request("t", b"", "Connection: close\r\n"),
        request("t", b"", first="POST /api/write HTTP/1.0"),
        request("t", b"", first="POST http://x/api/write HTTP/1.1"),
        request("t", b"", first="POST /api/writes HTTP/1.1"),
        request("t", b"", length=f"Content-Length: {CHUNK + 1}\r\n"),
        b"\r\n" + request("t", b""),
        request("t", b"").replace(b"\r", b""),
        b"GET / HTTP/1.1\r\n\r\n",
        b"G",
    ],
)
def test_what_is_not_plain_is_left_to_hypercorn_to_the_byte(
    store: MetricStore, start: int, other: bytes
) -> None:
    answered = 0

    async def talk(client: trio.SocketStream) -> None:
        nonlocal answered
        await client.send_all(request("t", line("h", start)) * 2 + other)
        async for part in client:
            answered += part.count(b"HTTP/1.1 200 OK\r\n")

    assert conversation(store, talk) == Rest(other)
    assert answered == 2


def test_half_a_head_is_not_waited_for_for_ever(store: MetricStore) -> None:
    """From the last answer on a client has HEADER_PATIENCE, also when it sends on and on."""
    took = 0.0

    async def talk(client: trio.SocketStream) -> None:
        nonlocal took
        began = trio.current_time()
        await client.send_all(b"POST /api/write?cluster=small HTTP/1.1\r\nHo")
        while trio.current_time() - began < 5:
            await trio.sleep(1)
            await client.send_all(b"s")
        async for _ in client:
            pass
        took = trio.current_time() - began

    assert conversation(store, talk, MockClock(autojump_threshold=0.05)) == Rest(None)
    assert took == pytest.approx(listener.HEADER_PATIENCE, abs=1)


def test_of_a_body_that_stops_coming_the_complete_lines_are_stored(store: MetricStore, start: int) -> None:
    async def talk(client: trio.SocketStream) -> None:
        body = line("m", start, 3) + b"cpu_load,host"
        await client.send_all(request("t", body, length="Content-Length: 999\r\n"))
        async for _ in client:
            pass

    assert conversation(store, talk, MockClock(autojump_threshold=0.05)) == Rest(None)
    ((result,),) = store.query("small", start, start + 10, [Query("cpu_load", "m")]).rows
    assert result.data is not None
    assert result.data.tolist() == [3]


def test_through_the_application_they_are_stored_as_well(store: MetricStore, start: int) -> None:
    sent = []

    async def run() -> None:
        body = iter([line("n", start, 4) + b"cpu_load,host"])

        async def receive() -> dict[str, object]:
            for part in body:
                return {"type": "http.request", "body": part, "more_body": True}
            await trio.sleep_forever()
            raise AssertionError

        async def send(message: object) -> None:
            sent.append(message)

        scope = {"method": "POST", "headers": [], "query_string": b"cluster=small"}
        await Ingest(store, Open())(scope, receive, send)  # type: ignore[arg-type]

    trio.run(run, clock=MockClock(autojump_threshold=0.05))
    assert sent[0]["status"] == 408  # type: ignore[index]
    ((result,),) = store.query("small", start, start + 10, [Query("cpu_load", "n")]).rows
    assert result.data is not None
    assert result.data.tolist() == [4]


# -- last, because it ends a server ------------------------------------------------------------------------


def test_idle_connections_do_not_hold_up_the_end(server: Server, token: str, start: int) -> None:
    """One after a write, one with half a head."""
    with Wire(server) as idle, Wire(server) as half:
        idle.send(request(token, line("z", start)))
        assert idle.answer().status == 200
        half.send(b"POST /api/write?clus")
        time.sleep(0.1)
        assert server.stop(timeout=5) == 0
        assert idle.ended()
        assert half.ended()
    assert "did not end" not in server.log
