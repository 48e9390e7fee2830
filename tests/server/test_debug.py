"""GET /api/debug: what the store holds, as a tree. Contract: spec/metric-store.md 6.3."""

from __future__ import annotations

import json
import time
from typing import Any

import httpx
import pytest

from tests.server.running import Server

START = int(time.time()) // 640 * 640 - 3200  # steps of 10 s
GPU = "00000000:49:00.0"


@pytest.fixture(scope="module")
def client(server: Server) -> httpx.Client:
    """A server with two hosts, one of them with components whose ids contain colons."""
    client = server.client()
    threads = [("type=hwthread,type-id=0", 10), ("type=hwthread,type-id=1", 1)]
    gpu = [(f"type=accelerator,type-id={GPU},stype=nvlink,stype-id=1", 2)]
    lines = [
        *(f"cpu_load,hostname={h} value={i} {START + 10 * i}" for h in ("n02", "n01") for i in range(5)),
        *(
            f"flops_any,hostname=n01,{tags} value={i} {START + 10 * i}"
            for tags, count in threads + gpu
            for i in range(count)
        ),
    ]
    answer = client.post("/api/write?cluster=small", content="\n".join(lines) + "\n")
    assert answer.status_code == 200, answer.text
    return client


def ask(client: httpx.Client, selector: str | list[str] | None = None) -> Any:
    text = json.dumps(selector) if isinstance(selector, list) else selector
    answer = client.get("/api/debug", params={} if text is None else {"selector": text})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    return answer.json()["data"]


def run(slots: int) -> list[dict[str, int]]:
    return [{"start": START, "len": slots, "end": START + 10 * (slots - 1)}]


N01 = {
    "cpu_load": run(5),
    "hwthread0": {"flops_any": run(10)},
    "hwthread1": {"flops_any": run(1)},
    f"accelerator{GPU}": {"nvlink1": {"flops_any": run(2)}},
}


def test_without_a_selector_everything(client: httpx.Client) -> None:
    for selector in (None, "", []):
        assert ask(client, selector) == {"small": {"n01": N01, "n02": {"cpu_load": run(5)}}}


def test_a_selector_leads_to_a_level(client: httpx.Client) -> None:
    assert ask(client, "small") == {"n01": N01, "n02": {"cpu_load": run(5)}}
    assert ask(client, "small:n01") == N01
    assert ask(client, "small:n01:hwthread0") == {"flops_any": run(10)}
    assert ask(client, "small:n01:cpu1") == {"flops_any": run(1)}


def test_a_json_list_reaches_ids_with_colons(client: httpx.Client) -> None:
    level = ["small", "n01", f"accelerator{GPU}"]
    assert ask(client, level) == {"nvlink1": {"flops_any": run(2)}}
    assert ask(client, [*level, "nvlink1"]) == {"flops_any": run(2)}


@pytest.mark.parametrize(
    "selector", ["nope", "small:nope", "small:n01:hwthread9", "small:n01:hwthread0:x1", "small:", ":"]
)
def test_an_unknown_selector_is_a_client_error(client: httpx.Client, selector: str) -> None:
    answer = client.get("/api/debug", params={"selector": selector})
    assert answer.status_code == 400
    assert answer.json() == {"status": "Bad Request", "error": "not found"}


def test_a_selector_that_is_no_list_of_names_is_refused(client: httpx.Client) -> None:
    for selector in ("[", '["small", 1]', '[["small"]]'):
        assert client.get("/api/debug", params={"selector": selector}).status_code == 400


def test_the_counters_stand_beside_the_data(client: httpx.Client) -> None:
    found = client.get("/api/debug").json()
    assert found["counters"]["series"] == 5
    assert found["counters"]["stored"] == 23
    assert set(found) == {"data", "counters"}


def test_an_empty_store_has_an_empty_tree(installation: Server) -> None:
    installation.start()
    try:
        with installation.client() as client:
            assert ask(client) == {}
    finally:
        installation.stop()
