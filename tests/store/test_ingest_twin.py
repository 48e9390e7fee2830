"""Kernels that read what arrives - messages of a broker, lines, numbers - against their naive twins.

Few examples and no store of the usual size are enough for a run without compiler (NUMBA_DISABLE_JIT=1).
"""

from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ccstore import Metric, MetricStore, Query, StoreOptions, whole_lines
from ccstore.kernels import frames
from ccstore.tables import padded
from tests import naive, naive_lines

NOW = 1700000120
AT = 1700000000  # times below are whole steps of 60 s from here, so that slots are known
METRICS = {"c": ["cpu_load", "my metric", "é"], "DEF": ["cpu_load", "flops_any"]}
OPTIONS = StoreOptions(retention=3600, max_future=600)

_MEASUREMENTS = [
    b"cpu_load", b"cpu_load", b"my\\ metric", b"flops_any", b"\xc3\xa9", b"nosuch", b"#x", b"", b"\xc3",
]  # fmt: skip
_TAGS = [
    b",hostname=h", b",host=h\\,2", b",hostname=..", b",host=a/b", b",cluster=c", b",cluster=nowhere",
    b",cluster=.", b",type=node", b",type=cpu", b",type=hwthread", b",type=socket", b",type=a.b",
    b",type-id=0", b",type-id=00:3b\\=", b",type-id=a..b", b",stype=fs", b",stype=\xc3\xa9",
    b",stype-id=/home", b",unit=%", b",x\\=y=\\\\", b",=1", b",x=", b",x", b",x=a=b", b",x=\t", b",x=\xff",
]  # fmt: skip
_FIELDS = [
    b"value=1", b"value=-2.5E-3", b"value=7i", b"value=7u", b"value=.5", b"value=12345678.123456789",
    b"value=1e400", b"value=nan", b"value=true", b"value=Tru", b'value="x"', b"value=", b"value=1x", b"foo=1",
    b'event="{\\"a\\": 1,\n 2}"', b'event="', b"log=t", b"value=0.1\t", b"val\\=ue=3", b"=1",
]  # fmt: skip
_TIMES = [
    b" %d" % AT, b" %d000" % (AT + 60), b" %d000000" % (AT + 120), b" %d999999999" % (AT + 180), b" -5",
    b" %d" % (AT + 86400), b" %d" % (AT - 7200), b"", b" abc", b" 12abc", b" 1700000000 x",
    b" 99999999999999999999",
]  # fmt: skip


def mostly(usual: list[bytes], also: list[bytes]) -> st.SearchStrategy[bytes]:
    return st.sampled_from(usual * (3 * len(also) // len(usual)) + also)


_tags = st.builds(
    lambda *parts: b"".join(parts),
    st.sampled_from([b",hostname=h", b",cluster=c,host=h", b",hostname=h,type=hwthread"]),
    st.lists(st.sampled_from(_TAGS), max_size=2).map(b"".join),
)
points = st.builds(
    lambda *parts: b"".join(parts),
    mostly([b"cpu_load", b"my\\ metric"], _MEASUREMENTS),
    _tags,
    mostly([b" "], [b"   ", b""]),
    st.lists(mostly([b"value=1", b"value=2.5"], _FIELDS), min_size=1, max_size=2).map(b",".join),
    mostly([b" %d" % AT, b" %d000" % (AT + 60)], _TIMES),
    mostly([b""], [b"  "]),
)
others = st.one_of(
    st.sampled_from([b"", b"   ", b"# value=1", b"#\xff\t", b"\r", b'"', b"cpu_load,hostname=h value=1"]),
    st.binary(max_size=12),
)
payloads = st.lists(
    st.tuples(st.one_of(points, points, points, others), st.sampled_from([b"\n", b"\n", b"\r\n"])),
    max_size=12,
).map(lambda pairs: b"".join(line + end for line, end in pairs))


def opened() -> MetricStore:
    metrics = {cluster: [Metric(name, 60) for name in names] for cluster, names in METRICS.items()}
    return MetricStore(metrics, OPTIONS, clock=lambda: float(NOW))


@settings(deadline=None, max_examples=1000)
@given(st.lists(payloads, min_size=1, max_size=3), st.sampled_from(["DEF", "c", ""]))
def test_messages_do_what_their_twin_says(messages: list[bytes], default: str) -> None:
    """Each message twice: the second time its keys are known, which is another way through the kernel."""
    store = opened()
    slots: dict[tuple[str, naive_lines.Address], dict[int, float]] = {}
    for message in [*messages, *messages]:
        expected = naive_lines.written(message, default, METRICS, NOW, NOW - 3600, NOW + 600)
        report = store.write(message, default)
        assert report.lines == expected.lines
        assert report.stored == len(expected.samples)
        assert Counter(report.dropped) == expected.dropped
        assert [(one.line, one.reason) for one in report.rejected] == expected.rejected
        for metric, address, time, value in expected.samples:
            slots.setdefault((metric, address), {})[time] = value
    assert {
        (one.metric, (one.cluster, one.host, *(one.component or ("", "", "", "")))) for one in store.tree()
    } == set(slots)
    for (metric, (cluster, host, kind, id, subtype, subid)), values in slots.items():
        query = Query(metric, host, kind, (id,) if kind else (), subtype, (subid,) if subtype else ())
        ((result,),) = store.query(cluster, AT, AT + 240, [query]).rows
        assert result.data is not None
        found = {AT + 60 * i: value for i, value in enumerate(result.data.tolist()) if value == value}
        assert found == {time: float(np.float32(value)) for time, value in values.items()}


_pieces = st.sampled_from([b"m,h=1 e=", b'"', b"\n", b"\r\n", b"\\", b"x", b" ", b"#", b"m,h=1 e=1\n"])


@settings(deadline=None, max_examples=1000)
@given(st.lists(_pieces, max_size=14).map(b"".join))
def test_whole_lines_are_those_of_the_twin(text: bytes) -> None:
    """However the text goes on."""
    assert whole_lines(text) == naive_lines.whole_lines(text)


_digits = st.text("0123456789", max_size=21)
_sign = st.sampled_from(["", "-"])
_exponent = st.sampled_from(["", "e-3", "E+22", "e05", "e9999", "i"])
numbers = st.one_of(
    st.builds("{}{}.{}{}".format, _sign, _digits, _digits, _exponent),
    st.builds("{}{}{}".format, _sign, _digits, st.sampled_from(["", "i", "u", "e4", "e", "e+"])),
)


@settings(deadline=None, max_examples=1000)
@given(st.lists(numbers, min_size=1, max_size=20))
@example(["12345678901234.123456", "123456789012345.1234"])
def test_numbers_of_known_lines_are_those_of_the_twin(spelled: list[str]) -> None:
    """Numbers behind a known key have a reader of their own, a word of eight digits at a time."""
    store = opened()
    line = "cpu_load,hostname=h value={} 1700000000"
    assert store.write(line.format(1).encode(), "DEF").stored == 1
    for text in spelled:
        expected = naive.number(text) if text else None
        if expected is not None and abs(expected) > 3e38:
            continue  # no float32
        report = store.write(line.format(text).encode(), "DEF")
        assert [one.reason for one in report.rejected] == ([] if expected is not None else ["value"])
        if expected is not None:
            ((result,),) = store.query("DEF", AT, AT + 60, [Query("cpu_load", "h")]).rows
            assert result.data is not None
            assert abs(float(result.data[0]) - expected) <= abs(float(np.spacing(np.float32(expected))))


def plain(subject: bytes, subscription: int, answer: bytes, payload: bytes) -> bytes:
    return b"MSG %b %d %b%d\r\n%b\r\n" % (subject, subscription, answer, len(payload), payload)


def with_headers(subscription: int, head: bytes, payload: bytes) -> bytes:
    size = len(head) + len(payload)
    return b"HMSG s %d %d %d\r\n%b%b\r\n" % (subscription, len(head), size, head, payload)


_numbers = st.integers(0, 99)
_payload = st.binary(max_size=20)
_controls = st.one_of(
    st.builds(
        plain,
        st.sampled_from([b"metrics", b"a.b.c", b"7"]),
        _numbers,
        st.sampled_from([b"", b"inbox ", b"12 "]),
        _payload,
    ),
    st.builds(with_headers, _numbers, st.sampled_from([b"", b"NATS/1.0\r\n\r\n"]), _payload),
    st.sampled_from([
        b"+OK\r\n", b"PING\r\n", b"INFO {}\r\n", b"MSG s x 3\r\nabc\r\n", b"MSG s 1 3\r\nabcd\r\n",
        b"MSG s 1\r\n", b"MSG s 1 9999999999999 1\r\na\r\n", b"HMSG s 1 5 3\r\nabc\r\n",
        b"MSG s 1  3\r\nabc\r\n", b"MSG s 1 3\nabc\r\n",
    ]),
)  # fmt: skip


@settings(deadline=None, max_examples=1000)
@given(st.lists(_controls, max_size=6).map(b"".join), st.integers(0, 300), st.integers(1, 5))
def test_messages_of_a_broker_are_found_as_the_twin_finds_them(stream: bytes, cut: int, room: int) -> None:
    text = padded(stream[:cut])
    found = np.zeros((room, frames.FRAMES), np.int64)
    out = np.zeros(2, np.int64)
    status = frames.split(text, 0, len(stream[:cut]), found, out)
    expected = naive.frames(stream[:cut], room)
    names = {frames.MORE: "more", frames.OTHER: "other", frames.FULL: "full"}
    assert (names[status], int(out[frames.POSITION])) == expected[:2]
    assert found[: out[frames.COUNT], frames.SUBSCRIPTION :].tolist() == [list(one) for one in expected[2]]
