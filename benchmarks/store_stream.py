"""A steady stream through a real broker into a real ccstore for a while: is anything lost?

`python -m benchmarks.store_stream [seconds [samples a second]]`: hosts with 310 series each send every
second, in messages of 1000 lines, as collectors write them; ccstore keeps a journal and the last five
minutes. Two processes send, with a lower priority than broker and store. At the end the counters must add up
to what was sent, and series read back must have no gap.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import sys
import tempfile
import time
import urllib.request
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from benchmarks import _collectors as collectors
from benchmarks._site import Publisher, Site

_SENDERS = 2
_SLICES = 20  # of a second
_CHECKED = 60  # seconds read back of some series
_NICE = 5
_WARM = 120  # seconds that making the series known may take
_REPORT = 60  # seconds


@dataclass(frozen=True)
class Share:
    """What one process sends."""

    port: int
    first: int  # number of its first host
    hosts: int
    seconds: int


@dataclass(frozen=True)
class Sent:
    samples: int
    behind: float  # seconds, at worst
    processor: float


def send(share: Share, parent: Connection) -> None:
    """Told the time it sends a first sample of each series and says how many, told the time again it sends
    the stream and says what it has sent."""
    os.nice(_NICE)
    hosts = [collectors.Host(share.first + i, 72, 2, 1) for i in range(share.hosts)]
    publisher = Publisher(share.port)
    lines = [line for host in hosts for line in host.flush(0)]
    stream = collectors.Replayed(collectors.messages(lines, 1000), publisher.frame)
    del hosts, lines
    messages = len(stream.ends)
    parent.send(stream.lines)
    stream.move(parent.recv() - collectors.START)
    publisher.send(stream.frames(0, messages))
    publisher.flush()
    first: int = parent.recv()
    behind, used = 0.0, time.process_time()
    for second in range(share.seconds):
        stream.move(first + second - collectors.START)
        for part in range(_SLICES):
            late = time.time() - (first + second + part / _SLICES)
            behind = max(behind, late)
            if late < 0:
                time.sleep(-late)
            publisher.send(stream.frames(messages * part // _SLICES, messages * (part + 1) // _SLICES))
    publisher.flush()
    parent.send(Sent(stream.lines * share.seconds, behind, time.process_time() - used))


def read_back(port: int, hosts: list[str], start: int, to: int) -> int:
    """Slots without a value."""
    queries = [{"metric": "cpu_load", "host": host} for host in hosts]
    body = json.dumps({"cluster": collectors.CLUSTER, "from": start, "to": to, "queries": queries}).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{port}/api/query", body, method="POST")
    with urllib.request.urlopen(request, timeout=60) as answer:
        rows = json.loads(answer.read())["results"]
    return sum(row[0]["data"].count(None) for row in rows)


def until_stored(site: Site, samples: int, patience: float) -> dict[str, int]:
    """Counters once so many have been stored, or when patience ends."""
    end = time.monotonic() + patience
    counters = site.counters()
    while counters["ccstore_stored_samples"] < samples and time.monotonic() < end:
        time.sleep(0.5)
        counters = site.counters()
    return counters


def run(site: Site, hosts: int, seconds: int) -> tuple[int, int, float, list[Sent]]:
    """Series, the time stamp of the stream's first sample, processor time of the store before it, and what
    the senders say."""
    context = multiprocessing.get_context("spawn")
    senders = []
    for number in range(_SENDERS):
        first, behind = hosts * number // _SENDERS, hosts * (number + 1) // _SENDERS
        share = Share(site.broker_port, first, behind - first, seconds)
        here, there = context.Pipe()
        process = context.Process(target=send, args=(share, there), daemon=True)
        process.start()
        senders.append((process, here))
    series = sum(here.recv() for _, here in senders)
    print(f"{series} series of {hosts} hosts, one sample a second each, for {seconds} s", flush=True)
    for _, here in senders:
        here.send(int(time.time()) - 1)
    used = site.seconds()
    until_stored(site, series, _WARM)
    begin, warm = time.monotonic(), site.seconds()
    print(f"the first sample of each took {warm - used:.1f} s of processor time", flush=True)
    used = warm
    first = int(time.time()) + 2
    for _, here in senders:
        here.send(first)
    while not all(here.poll() for _, here in senders):
        time.sleep(1)
        if time.monotonic() - begin >= _REPORT:
            begin, before, used = time.monotonic(), used, site.seconds()
            figures = site.counters()
            print(
                f"  stored {figures['ccstore_stored_samples']:,}, waiting "
                f"{figures['ccserver_broker_waiting_bytes'] / 1e6:.0f} MB, load {os.getloadavg()[0]:.1f}, "
                f"processor {(used - before) / _REPORT:.0%}, memory {site.resident() / 1e6:,.0f} MB",
                flush=True,
            )
    sent = [here.recv() for _, here in senders]
    for process, _ in senders:
        process.join()
    return series, first, warm, sent


def main() -> None:
    seconds, rate = int((*sys.argv[1:2], "20")[0]), int((*sys.argv[2:3], "200000")[0])
    hosts = max(rate // 310, _SENDERS)
    names = [f"f{number:04d}" for number in random.Random(1).sample(range(hosts), min(hosts, 20))]
    with (
        tempfile.TemporaryDirectory() as name,
        Site(Path(name), collectors.CLUSTER, collectors.metrics(1), journal=True, retention="5m") as site,
    ):
        load = os.getloadavg()[0]
        series, first, warm, senders = run(site, hosts, seconds)
        streamed = sum(one.samples for one in senders)
        sent = series + streamed
        counters = until_stored(site, sent, 60)
        processor = site.seconds() - warm
        empty = read_back(site.port, names, first + max(seconds - _CHECKED, 0), first + seconds)
        resident = site.resident()
    stored = counters["ccstore_stored_samples"]
    behind = max(one.behind for one in senders)
    sending = sum(one.processor for one in senders)
    lost = counters["ccstore_journal_lost_samples"]
    dropped, rejected = counters["ccstore_dropped_lines"], counters["ccstore_rejected_lines"]
    print(f"load       {load:14.1f} before, {os.getloadavg()[0]:.1f} after")
    print(f"sent       {sent:14,} samples, {streamed // seconds:,} a second, at most {behind:.1f} s late")
    print(f"stored     {stored:14,}   dropped {dropped}   rejected {rejected}")
    print(f"lost       {sent - stored:14,}   of the journal {lost}")
    messages, refused = counters["ccserver_broker_messages"], counters["ccserver_broker_lost_messages"]
    reconnects = counters["ccserver_broker_reconnects"]
    print(f"broker     {messages:14,} messages, {refused} dropped, {reconnects} reconnects")
    print(f"gaps       {empty:14,} in {min(seconds, _CHECKED)} s of {len(names)} hosts")
    print(f"processor  {processor:14.1f} s of the store, {streamed / processor / 1e6:.2f} M samples in each")
    print(f"           {sending:14.1f} s of the senders")
    held = counters["ccstore_memory_bytes"]
    print(f"memory     {resident / 1e6:14,.0f} MB resident, counted {held / 1e6:,.0f} MB")
    print(f"journal    {counters['ccstore_journal_written_bytes'] / sent:14.2f} bytes a sample")
    if stored != sent or empty or lost:
        sys.exit("samples are missing")


if __name__ == "__main__":
    main()
