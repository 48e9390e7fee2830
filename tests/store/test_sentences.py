"""Section 2 of spec/metric-store.md, sentence by sentence: what becomes of one line.

Every case is written twice into the same store: the second time its key may be known, which is another way
through the kernels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest

from ccstore import Metric, MetricStore, Query, StoreOptions

NOW = 1700000100
AT = 1700000000
HOST = b"cpu_load,hostname=h "
RETENTION = 172800
MAX_FUTURE = 600


def opened(
    metrics: Sequence[str] = ("cpu_load", "a=b", 'q"', "back\\slash", "a,b", "a b", "é"),
) -> MetricStore:
    table = [Metric(name, 60) for name in metrics]
    options = StoreOptions(retention=RETENTION, max_future=MAX_FUTURE)
    return MetricStore({"c": table, "DEF": table}, options, clock=lambda: NOW + 0.9)


def outcome(line: bytes, default: str = "DEF") -> str:
    """stored, a reason, or nothing when the line does not count; the same both times, beside good lines."""
    store = opened()
    good = b"cpu_load,cluster=c,hostname=good value=1 1700000000"
    found = []
    for _ in range(2):
        report = store.write(good + b"\n" + line + b"\n" + good, default)
        assert report.lines == report.stored + sum(report.dropped.values()) + report.rejected_total
        assert report.stored >= 2
        reasons = [*report.dropped, *(one.reason for one in report.rejected)]
        found.append("".join(reasons) or ("stored" if report.stored == 3 else ""))
    assert found[0] == found[1]
    return found[0]


def level(line: bytes, default: str = "DEF") -> str:
    """Where the only sample of a line is: cluster/host/component."""
    store = opened()
    for _ in range(2):
        assert store.write(line, default).stored == 1
    (one,) = store.tree()
    kind, id, stype, sid = one.component
    below = f"/{kind}:{id}" + (f"/{stype}:{sid}" if stype else "") if kind else ""
    return f"{one.cluster}/{one.host}{below}"


def value(text: bytes) -> float:
    store = opened()
    for _ in range(2):
        assert store.write(HOST + b"value=%b %d" % (text, AT), "DEF").stored == 1
    ((result,),) = store.query("DEF", AT, AT + 1, [Query("cpu_load", "h")]).rows
    assert result.data is not None
    return float(result.data[0])


def time_of(text: bytes) -> int:
    """Whole seconds: the nominal time of a series' first slot."""
    store = opened()
    for _ in range(2):
        assert store.write(HOST + b"value=1" + text, "DEF").stored == 1
    (one,) = store.tree()
    return one.runs[0].start


# -- 2.2: lines ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("last", [True, False])
def test_lines_end_with_lf_or_crlf_and_the_last_may_lack_it(end: bytes, last: bool) -> None:
    line = HOST + b"value=1 1700000000"
    report = opened().write(end.join([line] * 3) + (end if last else b""), "DEF")
    assert (report.lines, report.stored) == (3, 3)


@pytest.mark.parametrize("payload", [b"", b"\n", b"\r\n", b"   \n", b"  \r\n\n", b"\n\n\n", b"#", b"  # x\n"])
def test_a_message_may_hold_no_line(payload: bytes) -> None:
    report = opened().write(payload, "DEF")
    assert (report.lines, report.rejected) == (0, [])


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"# value=1", ""),
        (b"#", ""),
        (b"   # cpu_load value=1 1", ""),
        (b"#\t\0\x7f\xff", ""),  # anything
        (b"# \r a lone CR", ""),
        (b"#" * 70_000, ""),
        (b"     ", ""),
        (b"\t", "syntax"),
        (b"\r\r", "syntax"),
        (b"  " + HOST + b"value=1", "stored"),
        (HOST + b"value=1   ", "stored"),
        (HOST + b"   value=1    1700000000    \r", "stored"),
        (HOST + b"value=1#", "value"),  # no comment behind a point
        (HOST + b"value=1 #", "timestamp"),
        (HOST + b"value=1 1700000000 # x", "timestamp"),
        (b"cpu_load,hostname=#h value=1", "stored"),
        (HOST + b"value=1\rx=2", "value"),  # a lone CR
        (HOST + b"value=1 17000\r00000", "timestamp"),
        (b"cpu_load\r,hostname=h value=1", "syntax"),
    ],
)
def test_blanks_comments_and_ends(line: bytes, expected: str) -> None:
    assert outcome(line) == expected


# -- 2.2: names ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"cpu_load", "syntax"),
        (b"cpu_load ", "syntax"),
        (b" ,hostname=h value=1", "syntax"),
        (b"cpu_load, value=1", "syntax"),
        (b"cpu_load,,hostname=h value=1", "syntax"),
        (b"cpu_load,hostname=h, value=1", "syntax"),
        (b"cpu_load,hostname value=1", "syntax"),
        (b"cpu_load,hostname=,x=1 value=1", "syntax"),  # one character at least
        (b"cpu_load,=h value=1", "syntax"),
        (b"cpu_load,hostname==h value=1", "syntax"),
        (b"cpu_load,hostname=h=2 value=1", "syntax"),
        (b"cpu_load,hostname=h\\=2 value=1", "stored"),
        (b"cpu_load,hostname=h =1", "syntax"),
        (b"cpu_load,hostname=h value", "syntax"),
        (b"cpu_load,hostname=h value=1,", "syntax"),
        (b"cpu_load,hostname=h value=1,,x=2", "syntax"),
        (b"cpu_load,hostname=h value=1, x=2", "syntax"),
        (b"cpu_load,hostname=h value=1,x", "syntax"),
        (b"cpu_load,hostname=h value =1", "syntax"),
        (b"cpu_load,hostname=h value= 1", "value"),
        (b"a=b,hostname=h value=1", "stored"),  # legal in a measurement
        (b'q",hostname=h value=1', "stored"),
        (b'cpu_load,hostname=h,"="" value=1', "stored"),  # an ordinary character in names and tags
        (b'cpu_load,hostname=h "=1,value=1', "stored"),
        (b"\\#,hostname=h value=1", "unknown-metric"),
        (b"back\\slash,hostname=h value=1", "stored"),  # everything else after a backslash: both stay
        (b"a\\,b,hostname=h value=1", "stored"),
        (b"a\\ b,hostname=h value=1", "stored"),
        (b"a\\=b,hostname=h value=1", "unknown-metric"),  # no escape in a measurement
        ("é,hostname=h value=1".encode(), "stored"),
        (b"cpu_load\\,hostname=h value=1", "unknown-metric"),
        (b"cpu_load,hostname=h,t\\ ag=x\\,y value=1", "stored"),
        (b"cpu_load,hostname=h fi\\ \\,\\=eld=1,value=1", "stored"),
        (b"cpu_load,hostname=h\\", "syntax"),
        (b"cpu_load,hostname=h,x=\t value=1", "syntax"),
        (b"cpu_load,hostname=h,x=a\x7fb value=1", "syntax"),
        (b"cpu_load,hostname=h,x=a\0b value=1", "syntax"),
        (b"cpu_load,hostname=h\tvalue=1", "syntax"),
        (b"cpu_load,hostname=h v\x1f=1,value=1", "syntax"),
        (b"cpu_load,hostname=h,x=\xff value=1", "utf8"),
        (b"cpu_load,hostname=h,\xc3=1 value=1", "utf8"),
        (b"cpu_load,hostname=h \xe2\x82=1,value=1", "utf8"),
        (b"\xc3\x28,hostname=h value=1", "utf8"),
        (b"cpu_load,hostname=h,x=\xf4\x90\x80\x80 value=1", "utf8"),  # above U+10FFFF
        (b"cpu_load,hostname=h,x=\xe0\x80\x80 value=1", "utf8"),  # overlong
        ("cpu_load,hostname=h,x=\U0010ffff\ud7ff value=1".encode(), "stored"),
        (b'cpu_load,hostname=h value=1,s="\xff"', "utf8"),
    ],
)
def test_names(line: bytes, expected: str) -> None:
    assert outcome(line) == expected


# -- 2.2: fields -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"1", 1),
        (b"-1", -1),
        (b"0", 0),
        (b"-0", 0),
        (b"007", 7),
        (b"5.", 5),
        (b".5", 0.5),
        (b"-.5", -0.5),
        (b"1.e2", 100),
        (b"1e3", 1000),
        (b"1E3", 1000),
        (b"1e+3", 1000),
        (b"1e-3", 0.001),
        (b"-2.5E-3", -0.0025),
        (b"1e0000002", 100),
        (b"0e9999999", 0),
        (b"1e-9999999", 0),
        (b"4i", 4),
        (b"-4i", -4),
        (b"4u", 4),
        (b"00000000000000000000000000042i", 42),
        (b"0" * 400 + b"1.25", 1.25),
        (b"0." + b"0" * 400 + b"1e401", 1),
        (b"1" + b"0" * 400 + b"e-400", 1),
        (b"9223372036854775807i", 9223372036854775807),
        (b"-9223372036854775808i", -9223372036854775808),
        (b"18446744073709551615u", 18446744073709551615),
        (b"123456789012345678901234567890", 123456789012345678901234567890),
        (b"3.14159265358979323846264338327950288", math.pi),
        (b"2.2250738585072014e-308", 0),
    ],
)
def test_numbers(text: bytes, expected: float) -> None:
    assert value(text) == np.float32(expected)


_NO_NUMBERS = (
    "+5 - . -. e5 .e5 1e 1e+ 1e5.0 1.2.3 --1 0x10 1_000 inf -Inf nan NaN infinity 1e309"
    " -1e309 1e400 1.5i 1e2i 1.i i -u -1u 1.5u 9223372036854775808i -9223372036854775809i"
    " 18446744073709551616u 11111111111111111111111111111111i 1ii 1iu 1d"
    " 1.0f 1\\ '1' True1 truE tRUE tr fALSE TRue yes ²1"
)


@pytest.mark.parametrize("text", ["", *_NO_NUMBERS.split()])
def test_what_is_no_number_is_a_bad_value(text: str) -> None:
    assert outcome(HOST + b"value=" + text.encode() + b" 1700000000") == "value"


@pytest.mark.parametrize("text", ["t", "T", "true", "True", "TRUE", "f", "F", "false", "False", "FALSE"])
def test_truth_values_are_no_samples(text: str) -> None:
    assert outcome(HOST + b"value=" + text.encode()) == "value-type"
    assert outcome(HOST + b"up=" + text.encode() + b",value=1") == "stored"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (b'value="1"', "value-type"),
        (b'value=""', "value-type"),
        (b'value="open', "syntax"),
        (b'value="a"b', "syntax"),
        (b's="a\\"b",value=1', "stored"),
        (b's="a\\\\",value=1', "stored"),
        (b's="\\n\\r\\t\\x",value=1', "stored"),
        (b's="tab\there, nul\0, \x7f",value=1', "stored"),  # legal in strings
        (b's=",=  #",value=1', "stored"),
        (b's="a\nb\r\n# c\n\n",value=1', "stored"),  # a newline in a string does not end the line
        (b"foo=1,value=2", "stored"),
        (b"value=2,foo=1i,bar=2u,baz=t", "stored"),
        (b"foo=1", "no-value"),
        (b"Value=1", "no-value"),
        (b"value\\ =1", "no-value"),
        (b"foo=abc,value=1", "syntax"),
        (b"foo=1e400,value=1", "syntax"),
        (b"value=1,value=2", "stored"),
        (b"value=true,value=2", "stored"),
        (b"value=2,value=true", "value-type"),
        (b"value=2,value=x", "value"),
        (b'event="{}"', "not-a-metric"),
        (b'log="x"', "not-a-metric"),
        (b'control="x"', "not-a-metric"),
        (b"query=1", "not-a-metric"),
        (b'event="x",value=1', "stored"),
        (b'event="x",foo=1', "no-value"),
    ],
)
def test_fields(fields: bytes, expected: str) -> None:
    assert outcome(HOST + fields + b" 1700000000") == expected


def test_of_repeated_values_the_last_one_wins() -> None:
    assert value(b"1,value=2") == 2
    assert value(b"true,value=3i") == 3


# -- 2.3: addresses --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        (b"hostname=h", "DEF/h"),
        (b"host=h", "DEF/h"),
        (b"hostname=a,host=b", "DEF/b"),
        (b"host=a,hostname=b", "DEF/b"),
        (b"hostname=a,hostname=b", "DEF/b"),
        (b"cluster=c,hostname=h", "c/h"),
        (b"hostname=h,cluster=c", "c/h"),
        (b"cluster=nowhere,hostname=h,cluster=c", "c/h"),
        (b"hostname=h,type=node", "DEF/h"),
        (b"hostname=h,type=node,type-id=0", "DEF/h"),
        (b"hostname=h,type-id=7", "DEF/h"),
        (b"hostname=h,stype=network,stype-id=eth0,type=node", "DEF/h"),
        (b"hostname=h,stype=network,stype-id=eth0", "DEF/h"),
        (b"hostname=h,type=hwthread,type-id=3", "DEF/h/hwthread:3"),
        (b"type-id=3,type=hwthread,hostname=h", "DEF/h/hwthread:3"),
        (b"hostname=h,type=cpu,type-id=3", "DEF/h/hwthread:3"),
        (b"hostname=h,type=socket,type=core,type-id=1,type-id=2", "DEF/h/core:2"),
        (b"hostname=h,type=socket", "DEF/h/socket:"),  # without an id: the empty one
        (b"hostname=h,type=socket,type-id=0,stype-id=1", "DEF/h/socket:0"),
        (b"hostname=h,type=socket,type-id=0,stype=memctrl", "DEF/h/socket:0/memctrl:"),
        (b"hostname=h,stype=memctrl,stype-id=1,type=socket,type-id=0", "DEF/h/socket:0/memctrl:1"),
        (b"hostname=h,type=my_Type-2,type-id=x", "DEF/h/my_Type-2:x"),
        (b"hostname=h,type=filesystem,type-id=/home", "DEF/h/filesystem:/home"),
        (b"hostname=h,type=accelerator,type-id=0000:3b:00.0", "DEF/h/accelerator:0000:3b:00.0"),
        (b"hostname=h,type=core,type-id=a\\=b\\ c\\,d", "DEF/h/core:a=b c,d"),
        (b"hostname=h\\,1", "DEF/h,1"),
        (b"hostname=h,unit=%,device=eth0,group=CPU,rack=..,x=/etc", "DEF/h"),
        (b"hostname=" + b"h" * 255, "DEF/" + "h" * 255),
        ("hostname=knoten-ü".encode(), "DEF/knoten-ü"),
        (b"hostname=.h.", "DEF/.h."),
    ],
)
def test_tags(tags: bytes, expected: str) -> None:
    assert level(b"cpu_load," + tags + b" value=1 1700000000") == expected


@pytest.mark.parametrize(
    ("tags", "default", "expected"),
    [
        (b"cluster=c", "DEF", "no-hostname"),
        (b"hostname=h", "", "no-cluster"),
        (b"hostname=h", "elsewhere", "unknown-cluster"),
        (b"hostname=h,cluster=elsewhere", "DEF", "unknown-cluster"),
        (b"hostname=h", "..", "bad-name"),
        (b"hostname=h", "a\nb", "bad-name"),
        (b"hostname=h", "x" * 256, "bad-name"),
        (b"hostname=.", "DEF", "bad-name"),
        (b"hostname=..", "DEF", "bad-name"),
        (b"hostname=a..b", "DEF", "bad-name"),
        (b"hostname=a/b", "DEF", "bad-name"),
        (b"hostname=a\\b", "DEF", "bad-name"),
        (b"hostname=" + b"h" * 256, "DEF", "bad-name"),
        (b"cluster=a/b,hostname=h", "DEF", "bad-name"),
        (b"cluster=.,hostname=h", "DEF", "bad-name"),
        (b"hostname=h,type=a/b", "DEF", "bad-name"),
        ("hostname=h,type=ü".encode(), "DEF", "bad-name"),
        (b"hostname=h,type=" + b"t" * 64, "DEF", "stored"),
        (b"hostname=h,type=" + b"t" * 65, "DEF", "bad-name"),
        (b"hostname=h,type=core,type-id=" + b"i" * 255, "DEF", "stored"),
        (b"hostname=h,type=core,type-id=" + b"i" * 256, "DEF", "bad-name"),
        (b"hostname=h,type=core,type-id=..", "DEF", "bad-name"),
        (b"hostname=h,type=core,type-id=.", "DEF", "stored"),
        (b"hostname=h,type=core,type-id=0,stype=a.b", "DEF", "bad-name"),
        (b"hostname=h,type=core,type-id=0,stype=a,stype-id=../x", "DEF", "bad-name"),
        (b"hostname=h,type=core,type-id=0,stype-id=../x", "DEF", "stored"),  # ignored
    ],
)
def test_names_of_levels(tags: bytes, default: str, expected: str) -> None:
    assert outcome(b"cpu_load," + tags + b" value=1 1700000000", default) == expected


# -- 2.3: time -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"", NOW),
        (b"   ", NOW),
        (b" 1700000000", AT),
        (b" 0001700000000", AT),
        (b" 1700000000999", AT),
        (b" 1700000000999999", AT),
        (b" 1700000000999999999", AT),
    ],
)
def test_units_of_time_stamps(text: bytes, expected: int) -> None:
    assert time_of(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"0", "too-old"),
        (b"-1", "too-old"),
        (b"-0", "too-old"),
        (b"-1700000000999", "too-old"),
        (b"99999999999", "future"),  # the largest number of seconds
        (b"100000000000", "too-old"),  # the smallest of milliseconds
        (b"99999999999999", "future"),
        (b"100000000000000", "too-old"),  # microseconds
        (b"99999999999999999", "future"),
        (b"100000000000000000", "too-old"),  # nanoseconds
        (b"9223372036854775807", "future"),
        (b"-9223372036854775808", "too-old"),
        (b"9223372036854775808", "timestamp"),
        (b"-9223372036854775809", "timestamp"),
        (b"1" * 30, "timestamp"),
        (b"%d" % (NOW + MAX_FUTURE), "stored"),
        (b"%d" % (NOW + MAX_FUTURE + 1), "future"),
        (b"%d999" % (NOW + MAX_FUTURE), "stored"),  # rounded down
        (b"%d" % (NOW - RETENTION), "stored"),
        (b"%d" % (NOW - RETENTION - 1), "too-old"),
        (b"abc", "timestamp"),
        (b"-", "timestamp"),
        (b"+1700000000", "timestamp"),
        (b"1700000000.0", "timestamp"),
        (b"1.7e9", "timestamp"),
        (b"1700000000i", "timestamp"),
        (b"1700000000 1", "timestamp"),
        (b"1700000000,x=1", "timestamp"),
        (b"1700000000\t", "timestamp"),
        (b'"1700000000"', "timestamp"),
    ],
)
def test_time_stamps(text: bytes, expected: str) -> None:
    assert outcome(HOST + b"value=1 " + text) == expected


def test_nothing_carries_over_from_line_to_line() -> None:
    lines = (
        b"cpu_load,cluster=c,hostname=a,type=core value=1 %d\ncpu_load,hostname=b value=2\ncpu_load value=3"
    )
    store = opened()
    for _ in range(2):
        report = store.write(lines % AT, "DEF")
        assert [(one.line, one.reason) for one in report.rejected] == [(3, "no-hostname")]
    assert [(one.cluster, one.host, one.runs[0].start) for one in store.tree()] == [
        ("DEF", "b", NOW),
        ("c", "a", AT),
    ]


# -- 2.4: errors -----------------------------------------------------------------------------------------


def test_a_bad_line_is_reported_by_number_with_its_first_120_characters() -> None:
    long = "cpu_load,hostname=" + "ü" * 300 + "=x value=1"
    payload = f'# one\n\n{HOST.decode()}value=1,s="\n\n"\n{long}\r\n'.encode()
    report = opened().write(payload, "DEF")
    assert report.stored == 1
    assert [(one.line, one.reason, one.text) for one in report.rejected] == [(6, "syntax", long[:120])]


def test_at_most_a_hundred_bad_lines_are_reported_and_all_are_counted() -> None:
    report = opened().write(b"bad\n" * 250 + HOST + b"value=1", "DEF")
    assert (report.rejected_total, len(report.rejected), report.stored) == (0, 0, 1)  # of unknown metrics
    report = opened().write(b"cpu_load x\n" * 250 + HOST + b"value=1", "DEF")
    assert (report.rejected_total, len(report.rejected), report.stored) == (250, 100, 1)


@pytest.mark.parametrize(
    ("before", "behind"),
    [
        (HOST + b"value=1,x=", b""),
        (b"cpu_load,hostname=h,x=", b" value=1"),
        (HOST, b"=1,value=1"),
        (HOST + b'value=1,x="', b'"'),
        (HOST + b"value=1", b" "),
        (HOST + b"value=1", b" 1700000000"),
        (b"", HOST + b"value=1"),
    ],
)
def test_the_longest_line_has_64_kib(before: bytes, behind: bytes) -> None:
    filler = b" " if before == b"" or not before.endswith((b"=", b'"', b" ")) else b"0"
    for size, expected in ((65536, "stored"), (65537, "line-too-long")):
        line = before + filler * (size - len(before) - len(behind)) + behind
        assert outcome(line) == expected, size


def test_after_a_line_too_long_reading_goes_on_behind_its_end() -> None:
    for start in (b"cpu_load,hostname=h,x=", HOST + b'value=1,x="'):
        report = opened().write(start + b"0" * 100_000 + b"\n" + HOST + b"value=1 1700000000", "DEF")
        assert [(one.line, one.reason) for one in report.rejected] == [(1, "line-too-long")]
        assert report.stored == 1


# -- 7: a subject listed twice ---------------------------------------------------------------------------


def test_a_message_repeated_for_another_default_counts_what_is_different_only() -> None:
    store = opened()
    payload = b"\n".join(
        [
            b"cpu_load,cluster=c,hostname=a value=1 1700000000",
            b"cpu_load,hostname=b value=2 1700000000",
            b"cpu_load,hostname=b value=x",
            b"nosuch,hostname=b value=1",
            b"cpu_load value=1",
            HOST + b'event="x"',
            b"cpu_load,hostname=old value=1 5",
        ]
    )
    for _ in range(3):
        first = store.write(payload, "DEF")
        second = store.write(payload, "c", repeated=True)
        assert (first.lines, first.stored, first.rejected_total) == (7, 2, 2)
        assert first.dropped == {"unknown-metric": 1, "not-a-metric": 1, "too-old": 1}
        assert (second.lines, second.stored, second.rejected, second.dropped) == (2, 1, [], {"too-old": 1})
    assert sorted((one.cluster, one.host) for one in store.tree()) == [("DEF", "b"), ("c", "a"), ("c", "b")]
    assert store.counters()["messages"] == 3
    assert store.counters()["unknown_metrics"] == {"nosuch": 3}
