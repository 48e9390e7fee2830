"""Background work of the server, each piece a plain function that `every` or `daily` repeats."""

from ccserver.tasks.durations import update_durations
from ccserver.tasks.footprints import update_footprints
from ccserver.tasks.periodic import daily, every
from ccserver.tasks.retention import Retention, compress, forget_node_states, move_node_states, retain

__all__ = [
    "Retention",
    "compress",
    "daily",
    "every",
    "forget_node_states",
    "move_node_states",
    "retain",
    "update_durations",
    "update_footprints",
]
