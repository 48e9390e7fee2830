"""A steady stream through a real broker into a real ccstore for a while: is anything lost?

`python -m benchmarks.store_stream [seconds [samples a second]]`: hosts with 310 series each send every
second, in messages of 1000 lines, as collectors write them; ccstore keeps a journal and the last five
minutes. At the end its counters must add up to what was sent, and series read back must have no gap.
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from benchmarks import _collectors as collectors
from benchmarks._site import Publisher, Site

_SLICES = 20  # of a second
_CHECKED = 60  # seconds read back of some series


def read_back(port: int, hosts: list[str], start: int, to: int) -> int:
    """Slots without a value."""
    queries = [{"metric": "cpu_load", "host": host} for host in hosts]
    body = json.dumps({"cluster": collectors.CLUSTER, "from": start, "to": to, "queries": queries}).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{port}/api/query", body, method="POST")
    with urllib.request.urlopen(request, timeout=60) as answer:
        rows = json.loads(answer.read())["results"]
    return sum(row[0]["data"].count(None) for row in rows)


def main() -> None:
    seconds, rate = int((*sys.argv[1:2], "20")[0]), int((*sys.argv[2:3], "200000")[0])
    hosts = max(rate // 310, 1)
    cluster = collectors.Site(hosts, step=1)
    lines = collectors.stable(cluster.flush(0), random.Random(0))
    stream = collectors.Replayed(collectors.messages(lines, 1000))
    names = [f"f{number:04d}" for number in random.Random(1).sample(range(hosts), min(hosts, 20))]
    del cluster, lines
    print(f"{stream.lines} series of {hosts} hosts, one sample a second each, for {seconds} s")
    with (
        tempfile.TemporaryDirectory() as name,
        Site(Path(name), collectors.CLUSTER, collectors.metrics(1), journal=True, retention="5m") as site,
    ):
        publisher = Publisher(site.broker_port)
        used, begin = site.seconds(), time.monotonic()
        behind = 0.0
        messages = len(stream.bounds)
        first = int(time.time())
        for second in range(seconds):
            stream.move(first + second - collectors.START)
            for part in range(_SLICES):
                due = begin + second + part / _SLICES
                late = time.monotonic() - due
                behind = max(behind, late)
                if late < 0:
                    time.sleep(-late)
                for i in range(messages * part // _SLICES, messages * (part + 1) // _SLICES):
                    publisher.send(publisher.frame(stream.payload(i)))
        publisher.flush()
        took = time.monotonic() - begin
        sent = stream.lines * seconds
        end = time.monotonic() + 60
        counters = site.counters()
        while counters.get("lines", 0) < sent and time.monotonic() < end:
            time.sleep(0.5)
            counters = site.counters()
        processor = site.seconds() - used
        empty = read_back(site.port, names, first + max(seconds - _CHECKED, 0), first + seconds)
        resident = site.resident()
    stored = counters["stored"]
    print(f"sent       {sent:14,} samples, {sent / took:,.0f} a second, at most {behind:.1f} s late")
    print(f"stored     {stored:14,}   dropped {counters['dropped']}   rejected {counters['rejected']}")
    print(f"lost       {sent - stored:14,}   of the journal {counters['journal_lost_samples']}")
    print(f"gaps       {empty:14,} in {min(seconds, _CHECKED)} s of {len(names)} hosts")
    each = sent / processor / 1e6
    print(f"processor  {processor:14.1f} s of the store, {each:.2f} M samples in each")
    print(f"memory     {resident / 1e6:14,.0f} MB resident, counted {counters['memory_bytes'] / 1e6:,.0f} MB")
    print(f"journal    {counters['journal_written_bytes'] / sent:14.2f} bytes a sample")
    if stored != sent or empty or counters["journal_lost_samples"]:
        sys.exit("samples are missing")


if __name__ == "__main__":
    main()
