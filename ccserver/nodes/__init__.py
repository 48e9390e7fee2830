"""Node states as the scheduler reports them, with the health of each node's metrics."""

from ccserver.nodes.repository import (
    HEALTH_STATES,
    SCHEDULER_STATES,
    Health,
    NodeFilter,
    NodeReport,
    NodeRepository,
    NodeState,
    TimedCounts,
    scheduler_state,
)
from ccserver.nodes.wire import NODE_STATES, NodeStateMessage, decode_node_states

__all__ = [
    "HEALTH_STATES",
    "NODE_STATES",
    "SCHEDULER_STATES",
    "Health",
    "NodeFilter",
    "NodeReport",
    "NodeRepository",
    "NodeState",
    "NodeStateMessage",
    "TimedCounts",
    "decode_node_states",
    "scheduler_state",
]
