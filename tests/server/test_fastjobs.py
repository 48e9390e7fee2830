"""Starts and stops of jobs answered before the web server, and as by it. Contract: spec/rest-api.md 3.7."""

from __future__ import annotations

import gzip
import json
import re
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any

import pytest

from tests.server.running import Server
from tests.server.wire import HANDED_OVER, Answer, Wire, request

START = "POST /api/jobs/start_job/ HTTP/1.1"
STOP = "POST /api/jobs/stop_job/ HTTP/1.1"
NOW = 1_760_000_000
numbers = count(1000)


def job(number: int, **more: Any) -> bytes:
    one = {
        "jobId": number, "cluster": "small", "user": "ute", "project": "lab", "numNodes": 1,
        "resources": [{"hostname": "n01"}], "startTime": NOW - 60, "monitoringStatus": 0, **more,
    }  # fmt: skip
    return json.dumps(one).encode()


def end(number: int, **more: Any) -> bytes:
    return json.dumps({"jobId": number, "cluster": "small", "stopTime": NOW, **more}).encode()


def asked(wire: Wire, token: str, first: str, body: bytes, more: str = "") -> Answer:
    wire.send(request(token, body, more, first))
    return wire.answer()


def test_a_pair_is_answered_as_by_the_web_server(wire: Wire, token: str) -> None:
    def told(extra: str) -> list[Any]:
        number = next(numbers)
        answers = [
            asked(wire, token, START, job(number, tags=[{"type": "a", "name": "b"}]), extra),
            asked(wire, token, START, job(number), extra),
            asked(wire, token, STOP, end(number, stopTime=1), extra),
            asked(wire, token, STOP, end(number, jobState="running"), extra),
            asked(wire, token, STOP, end(number), extra),
            asked(wire, token, STOP, end(number), extra),
        ]
        assert [answer.status for answer in answers] == [201, 422, 400, 400, 200, 422]
        assert json.loads(answers[4].body)["duration"] == 60
        id = json.loads(answers[0].body)["id"]
        own = re.compile(rf'(?<="id":){id}\b|(?<=dbid: ){id}\b|\b{number}\b')
        forms = []
        for answer in answers:
            text = own.sub("?", answer.body.decode())
            forms.append((answer.headers["content-type"], answer.headers["vary"].split(", "), text))
        return [(kind, sorted(vary), text) for kind, vary, text in forms]

    assert told("") == told(HANDED_OVER)


@pytest.mark.parametrize(
    ("first", "body"),
    [
        (START, b""),
        (START, b"{"),
        (START, job(1, numNodes=2)),
        (START, job(1, cluster="none")),
        (START, job(1, wrong=2)),
        (START, job(1, jobId="1")),
        (STOP, b"[]"),
        (STOP, b'{"stopTime": 5}'),
        (STOP, end(999_999_999)),
    ],
)
def test_refusals_are_those_of_the_web_server(wire: Wire, token: str, first: str, body: bytes) -> None:
    fast, slow = (asked(wire, token, first, body, extra) for extra in ("", HANDED_OVER))
    assert (fast.status, fast.body) == (slow.status, slow.body)
    assert fast.status in (400, 404)
    assert fast.headers["content-type"] == slow.headers["content-type"] == "application/json"


def test_an_answer_is_compressed_for_who_asks(wire: Wire, token: str) -> None:
    answer = asked(wire, token, START, job(next(numbers)), "Accept-Encoding: gzip\r\n")
    assert answer.headers["content-encoding"] == "gzip"
    assert json.loads(gzip.decompress(answer.body))["msg"] == "success"


def test_who_may_not_enter_is_told_by_the_web_server(server: Server, wire: Wire) -> None:
    answer = asked(wire, server.token("ute"), START, job(next(numbers)))
    assert (answer.status, json.loads(answer.body)["error"]) == (401, "unauthorized")


def test_equal_starts_at_the_same_time_give_one_job(server: Server, token: str) -> None:
    body = job(next(numbers))

    def start(_: int) -> int:
        with Wire(server) as wire:
            return asked(wire, token, START, body).status

    with ThreadPoolExecutor(8) as threads:
        assert sorted(threads.map(start, range(8))) == [201, *[422] * 7]


def test_a_job_that_breaks_off_is_none(server: Server, token: str) -> None:
    number = next(numbers)
    with Wire(server) as wire:
        wire.send(request(token, job(number), first=START)[:-1])
    with Wire(server) as wire:
        assert asked(wire, token, STOP, end(number)).status == 404
