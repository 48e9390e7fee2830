"""Node state reports as schedulers send them. Contract: spec/rest-api.md 4.3."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ccserver.model.strict import Decoder, array, int64, parse_json, record, text
from ccserver.nodes.repository import NodeReport


@dataclass(frozen=True, slots=True)
class NodeStateMessage:
    cluster: str
    nodes: list[NodeReport]


def decode_node_states(body: bytes | str) -> NodeStateMessage:
    """One report; raises WireError naming the place."""
    return NODE_STATES.read(parse_json(body), "")


def _node(found: dict[str, Any], _place: str) -> NodeReport:
    return NodeReport(
        hostname=found.get("hostname", ""),
        states=tuple(found.get("states", ())),
        cpus_allocated=found.get("cpusAllocated", 0),
        memory_allocated=found.get("memoryAllocated", 0),
        gpus_allocated=found.get("gpusAllocated", 0),
        jobs_running=found.get("jobsRunning", 0),
    )


_NODE: dict[str, Decoder] = {
    "hostname": text,
    "states": array(text),
    "cpusAllocated": int64,
    "memoryAllocated": int64,
    "gpusAllocated": int64,
    "jobsRunning": int64,
}
NODE_STATES = record(
    {"cluster": text, "nodes": array(record(_NODE, _node, title="NodeReport"))},
    lambda found, _: NodeStateMessage(found.get("cluster", ""), found.get("nodes", [])),
    title="NodeStates",
)
