"""Live views: one hub reads once for all viewers, streams carry it to browsers."""

from ccserver.live.hub import Hub
from ccserver.live.status import StatusReader
from ccserver.live.stream import EventStream

__all__ = ["EventStream", "Hub", "StatusReader"]
