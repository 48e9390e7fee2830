"""What arrives over NATS: samples, job events, node states."""

from ccserver.broker.bridge import Bridge, BridgeCounters, Feed, metric_feeds
from ccserver.broker.event_lines import EventError, EventLine, event_lines
from ccserver.broker.events import EventReceiver

__all__ = [
    "Bridge",
    "BridgeCounters",
    "EventError",
    "EventLine",
    "EventReceiver",
    "Feed",
    "event_lines",
    "metric_feeds",
]
