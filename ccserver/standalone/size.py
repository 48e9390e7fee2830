"""`ccstore size`: the memory and disk that clusters will need. The formula stands in FORMULA; a test compares
it with a store that is really filled."""

from __future__ import annotations

import argparse
import json
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ccserver.clusters import Cluster, SubCluster
from ccserver.config import ConfigError
from ccserver.config.durations import parse_duration

SERIES_BYTES = 260
"""A series before its first sample: its row, segment, place in the directory, its line as it is sent."""
SLOT_BYTES = 4.1
"""float32, and its part of the row of its page."""
PACKED_BYTES = 2.3
"""A slot of metrics like those of real nodes once it is packed (benchmarks/store_memory.py)."""
PLAIN = 600.0 + 150.0
"""Seconds until a sample is packed: the default of pack-after, and of a pass's pause."""
SPARE_SLOTS = 64
"""Pages of 64 slots go as a whole, and the newest one is not full."""
PASS = 600.0
"""Seconds between two looks at what is too old, or a quarter of the retention if that is less."""
ROWS = 4
"""Series of a host with the same step share pages, four by four."""
JOURNAL_BYTES = 1 << 30
CHAIN = 4
"""Checkpoint files hold at most three times what is in memory, and once more while a full one is written."""

FORMULA = f"""\
series = nodes x (1 for metrics of scope node, else components of that scope)
slots  = (retention + {PASS:.0f} s) / timestep + {SPARE_SLOTS}
rows   = series of a node with the same timestep, rounded up to a multiple of {ROWS}
memory = {SERIES_BYTES} x series + {SLOT_BYTES} x nodes x rows x slots if nothing can be packed
packed = the same, {PACKED_BYTES} instead of {SLOT_BYTES} for slots older than {PLAIN:.0f} s
         but the newest {SPARE_SLOTS}: about what real metrics take
disk   = at most {CHAIN} x 4 x series x slots for checkpoints (before compression),
         {JOURNAL_BYTES / 1e9:.1f} GB for the journal"""


@dataclass(frozen=True, slots=True)
class Size:
    nodes: int
    series: int
    memory: float  # bytes, when nothing can be packed
    packed: float  # bytes
    disk: float  # bytes, without the journal

    def __add__(self, other: Size) -> Size:
        return Size(
            self.nodes + other.nodes,
            self.series + other.series,
            self.memory + other.memory,
            self.packed + other.packed,
            self.disk + other.disk,
        )


def size_of(cluster: Cluster, retention: float) -> Size:
    """What a store needs for a cluster whose nodes all send all their metrics."""
    total = Size(0, 0, 0.0, 0.0, 0.0)
    for subcluster in cluster.subclusters.values():
        nodes = subcluster.number_of_nodes or 1
        series: Counter[int] = Counter()  # of a node, by step
        for metric in subcluster.metrics.values():
            series[metric.timestep] += _components(subcluster, metric.scope)
        fixed = nodes * series.total() * float(SERIES_BYTES)
        total += Size(nodes, nodes * series.total(), fixed, fixed, 0.0)
        for step, count in series.items():
            slots = math.ceil((retention + min(PASS, retention / 4)) / step) + SPARE_SLOTS
            rows = -(-count // ROWS) * ROWS if count > 2 else count
            old = max(slots - SPARE_SLOTS - math.ceil(PLAIN / step), 0)
            memory = nodes * rows * slots * SLOT_BYTES
            packed = memory - nodes * rows * old * (SLOT_BYTES - PACKED_BYTES)
            total += Size(0, 0, memory, packed, CHAIN * 4.0 * nodes * count * slots)
    return total


def _components(subcluster: SubCluster, scope: str) -> int:
    topology = subcluster.topology
    return {
        "node": 1,
        "socket": len(topology.socket),
        "memoryDomain": len(topology.memory_domain),
        "core": len(topology.core),
        "hwthread": len(topology.node),
        "accelerator": len(topology.accelerators),
    }.get(scope, 1)


def main(arguments: Sequence[str]) -> None:
    """Prints the table; raises ConfigError and OSError, SystemExit 2 for wrong usage."""
    parser = argparse.ArgumentParser(
        prog="ccstore size",
        description="memory and disk that a metric store needs",
        epilog=FORMULA,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "-cluster-config", "--cluster-config", nargs="+", required=True, metavar="FILE", help="cluster.json"
    )
    parser.add_argument(
        "-retention", "--retention", default="48h", metavar="DURATION", help="default %(default)s"
    )
    flags = parser.parse_args(arguments)
    try:
        retention = parse_duration(flags.retention)
    except ValueError as error:
        raise ConfigError(f"-retention: {error}") from None
    sizes = {}
    for name in flags.cluster_config:
        cluster = _cluster(Path(name))
        sizes[cluster.name] = size_of(cluster, retention)
    print(f"{'cluster':20}{'nodes':>8}{'series':>12}{'memory':>12}{'packed':>12}{'disk':>12}")
    for name, size in sizes.items():
        _show(name, size)
    _show("total", sum(sizes.values(), Size(0, 0, 0.0, 0.0, float(JOURNAL_BYTES))))
    print(f"\nretention {flags.retention}; the total has the journal, too\n{FORMULA}")


def _cluster(path: Path) -> Cluster:
    try:
        document = json.loads(path.read_bytes())
        return Cluster.from_document(document, str(document.get("name", path.parent.name)))
    except (ValueError, AttributeError) as error:
        raise ConfigError(f"{path}: {error}") from None


def _show(name: str, size: Size) -> None:
    sizes = "".join(f"{_shown(one):>12}" for one in (size.memory, size.packed, size.disk))
    print(f"{name:20}{size.nodes:8}{size.series:12}{sizes}")


def _shown(number: float) -> str:
    return f"{number / 1e9:.2f} GB" if number >= 1e9 else f"{number / 1e6:.2f} MB"
